//! Examples and notes below the help of commands.

/// Below `tapedeck --help`.
pub(super) const TAPEDECK: &str = "\
Examples:
  tapedeck demo --for 30s
  tapedeck run binance:BTCUSDT coinbase:BTC-USD
  tapedeck replay trades.csv.gz --db my.db
  tapedeck query windows --db my.db --window 1m
  tapedeck dump --db my.db --digest
  tapedeck alerts follow http://127.0.0.1:7311

Results go to stdout, progress and logs to stderr. Times are UTC. A symbol is venue:NATIVE, the native part exactly \
as on the wire (binance:BTCUSDT, coinbase:BTC-USD).

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 the data is damaged, 4 another process holds the \
database.";

/// Below `tapedeck replay --help`.
pub(super) const REPLAY: &str = "\
Examples:
  tapedeck replay trades.csv.gz --db my.db
  tapedeck replay BTCUSDT-trades-2024-08-08.csv --db my.db --venue binance --symbol BTCUSDT
  tapedeck replay monday.zst tuesday.zst --db my.db --from 2024-08-05T22:00:00Z --to 2024-08-07
  tapedeck replay capture.zst --db my.db --speed 10x
  tapedeck replay trades.csv.gz --db my.db --resume

The same files and the same configuration give byte-identical results, whatever the threads, the speed, or the \
interruptions: compare `tapedeck dump --db DIR --digest`. A database that already holds results is left alone unless \
--resume or --append says what is meant.";

/// Below `tapedeck run --help`.
pub(super) const RUN: &str = "\
Examples:
  tapedeck run binance:BTCUSDT coinbase:BTC-USD
  tapedeck run --config tapedeck.toml --record tape
  tapedeck run binance:SYM0001USDT --url binance=ws://127.0.0.1:9100/binance --for 30s

On a terminal it shows a table of symbols. Over HTTP it shows a page, /healthz, /readyz, /metrics and /v1/status; where, it \
says on stderr.

Ends with the first SIGINT or SIGTERM: what came is committed, open windows come out as partial. The same command goes \
on from there.";

/// Below `tapedeck query --help`.
pub(super) const QUERY: &str = "\
Examples:
  tapedeck query windows --db my.db --window 1m --symbol binance:BTCUSDT
  tapedeck query symbols --db my.db --format csv
  tapedeck query late --db my.db --from 2024-08-08T12:00:00Z
  tapedeck query windows --db my.db --format parquet --out windows.parquet

CSV, NDJSON and Parquet are exact: decimals as they are, times with nanoseconds, nothing where there is nothing to \
say.";

/// Below `tapedeck query windows --help`.
pub(super) const QUERY_WINDOWS: &str = "\
Examples:
  tapedeck query windows --db my.db --window 1s --symbol binance:BTCUSDT --from 2024-08-08T12:00:00Z
  tapedeck query windows --db my.db --window 1m --format ndjson | jq .close
  tapedeck query windows --db my.db --window 1m --format parquet --out windows.parquet";

/// Below `tapedeck query alerts --help`.
pub(super) const QUERY_ALERTS: &str = "\
Examples:
  tapedeck query alerts --db my.db --symbol 'binance:*' --severity warning
  tapedeck query alerts --db my.db --rule 'burst*' --state firing --from 2024-08-08
  tapedeck query alerts --db my.db --after 1-42 --format ndjson

The steps of one episode share their id. A cursor is GENERATION-NUMBER; `--after` goes on behind it.";

/// Below `tapedeck alerts follow --help`.
pub(super) const FOLLOW: &str = "\
Examples:
  tapedeck alerts follow http://127.0.0.1:7311
  tapedeck alerts follow https://deck.example --token-file token --symbol 'binance:*' --severity critical
  tapedeck alerts follow http://127.0.0.1:7311 --format ndjson --state-file cursor >> alerts.ndjson

Prints each alert once and comes again for ever when the connection ends, from where it was; on stderr it says so. With \
--state-file it goes on there the next time, too: an alert may then be printed twice after a crash, and none is missing. \
Ends with SIGINT or SIGTERM.";

/// Below `tapedeck test --help`.
pub(super) const TEST: &str = "\
A file names a configuration (`config`) or a file of rules (`rule_file`), or holds [[windows]] and [[rules]], and has tests:

  [[test]]
  name = \"a burst\"
  input = [
      { at = \"0s\", trade = \"binance:BTCUSDT 100 1 buy\", every = \"1s\", times = 60 },
      { at = \"60s\", trade = \"binance:BTCUSDT 100 9 buy\" },
      { at = \"63s\", clock = true },
  ]
  expect = [{ at = \"61s\", rule = \"burst\", symbol = \"binance:BTCUSDT\", state = \"firing\" }]

Ends with 1 if a rule says something else, and with 2 if a file is wrong.";

/// Below `tapedeck dump --help`.
pub(super) const DUMP: &str = "\
Two runs that agree have the same dump: windows with all statistics, then the totals of every symbol. Receive times, \
latencies and whatever else depends on the machine are not in it.";

/// Below `tapedeck simulate --help`.
pub(super) const SIMULATE: &str = "\
Examples:
  tapedeck simulate --csv trades.csv
  tapedeck simulate --symbols 20 --trades 100000 --capture capture.zst
  tapedeck simulate --serve --venue binance --venue kraken --ticks-per-second 500 --symbols 20
  tapedeck simulate --serve 127.0.0.1:0 --faults gap@1000*5,disconnect@2000 --for 30s
  tapedeck simulate --serve --replay capture.zst --speed 10x --venue deribit

A served market is in real time. Faults: disconnect, half-open, silence, gap, duplicate, reorder, garbage, oversize \
(COUNT bytes), slow, shutdown (then the end COUNT events later), skew and lag (COUNT milliseconds), too-many and \
unavailable (EVENT is the number of the connection), random (EVENT is the seed, one fault in COUNT events), chaos (the \
same, with faults of every kind). The venues that can be played: binance, binance-us, binance-usdm, binance-coinm, \
coinbase, kraken, okx, bybit-spot, bybit-linear, bybit-inverse, deribit, bitstamp.";
