//! The store in memory: for tests, and for runs whose results go elsewhere.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use super::{Batch, Family, Pair, Scan, Store, StoreError};

/// One family's pairs. Values are shared, so that a copy of the map costs its keys only.
type Map = BTreeMap<Box<[u8]>, Arc<[u8]>>;

/// A store that ends with the process. It keeps the whole contract but for surviving.
#[derive(Debug, Default)]
pub struct MemoryStore {
    /// By [`Family`]. A scan holds on to the map that it began with; a commit meanwhile changes a copy.
    families: RwLock<[Arc<Map>; Family::ALL.len()]>,
}

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The map of `family` as it is now.
    fn map(&self, family: Family) -> Arc<Map> {
        // A poisoned lock still guards whole batches: nothing under it panics half way.
        let families = self.families.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&families[family as usize])
    }
}

impl Store for MemoryStore {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.map(family).get(key).map(|value| value.to_vec()))
    }

    fn scan<'a>(&'a self, family: Family, from: &[u8], to: Option<&[u8]>) -> Scan<'a> {
        Box::new(MapScan { map: self.map(family), from: Bound::Included(from.into()), to: to.map(Box::from) })
    }

    fn commit(&self, batch: &Batch, _sync: bool) -> Result<(), StoreError> {
        let mut families = self.families.write().unwrap_or_else(PoisonError::into_inner);
        for (family, from, to) in batch.ranges() {
            let map = Arc::make_mut(&mut families[*family as usize]);
            map.retain(|key, _| !(from.as_slice() <= &**key && &**key < to.as_slice()));
        }
        for (family, key, value) in &batch.changes {
            let map = Arc::make_mut(&mut families[*family as usize]);
            match value {
                Some(value) => map.insert(key.as_slice().into(), value.as_slice().into()),
                None => map.remove(key.as_slice()),
            };
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A scan of one map, which stays as it was when the scan began.
struct MapScan {
    map: Arc<Map>,
    /// Where the next pair is looked for.
    from: Bound<Box<[u8]>>,
    to: Option<Box<[u8]>>,
}

impl Iterator for MapScan {
    type Item = Result<Pair, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        // The upper bound is checked here and not in `range`, which panics where the bounds are crossed.
        let from = self.from.as_ref().map(AsRef::as_ref);
        let (key, value) = self.map.range::<[u8], _>((from, Bound::Unbounded)).next()?;
        if self.to.as_ref().is_some_and(|to| key >= to) {
            return None;
        }
        let pair = (key.clone(), Box::from(value.as_ref()));
        self.from = Bound::Excluded(key.clone());
        Some(Ok(pair))
    }
}
