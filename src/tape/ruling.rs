//! Rules on the tape: which book is in force from which entry on.

use feeds::symbol::Symbol;
use feeds::time::Nanos;

use super::sequencer::Sequencer;
use super::staged::What;

impl Sequencer {
    /// The rulebook of this number was in force before the run. Call before symbols are restored.
    pub fn ruled_by(&mut self, book: u32) {
        self.book = book;
    }

    /// The number of the rulebook in force.
    #[must_use]
    pub fn book(&self) -> u32 {
        self.book
    }

    /// From here on the rules of `text` are in force: an entry for every symbol, if they are others than before.
    ///
    /// # Errors
    /// What is wrong with them; then those before stay.
    pub fn rules(&mut self, text: &str) -> Result<(), String> {
        let Some(book) = self.plan.books.next(self.book, text)? else { return Ok(()) };
        self.book = book;
        if self.next > self.applied {
            self.epoch.books.push((self.next, book, text.to_owned()));
        }
        for symbol in 0..self.slots.len() as u32 {
            self.catch_up(symbol);
            self.stage(symbol, What::Rules(book));
        }
        let symbols: Vec<(Symbol, u32)> =
            self.numbers.iter().map(|(symbol, number)| (symbol.clone(), *number)).collect();
        for (symbol, number) in symbols {
            let wants_clock = self.wants_clock(&symbol);
            let slot = &mut self.slots[number as usize];
            slot.wants_clock = wants_clock;
            // It may have fallen asleep because nothing of its windows could come due any more.
            if wants_clock && !slot.pulse.awake && slot.pulse.newest != Nanos::MIN {
                slot.pulse.awake = true;
                self.awake.push(number);
            }
        }
        self.next += 1;
        Ok(())
    }

    pub(super) fn wants_clock(&self, symbol: &Symbol) -> bool {
        self.plan.books.get(self.book).is_some_and(|book| book.wants_clock(symbol))
    }
}
