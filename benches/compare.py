"""Times whole processes that turn one file of trades into one-second bars, and prints one table.

Started by scripts/bench. Contenders take turns, so that a busy spell of the machine hits all of them; the table
has medians. Every run's answer is checked against the floor's: as many bars, and the same sums over them.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

# Sums over all bars that every contender can give.
SUMS = ("trades", "open", "high", "low", "close", "volume", "buy_volume")
# Sums of floating-point numbers differ in their last digits by the order of adding.
FLOAT_TOLERANCE = Decimal("1e-9")

Answer = dict[str, Decimal]


@dataclass
class Contender:
    """One way to make the bars: how to run it, and how to read its answer."""

    name: str
    what: str
    command: list[str]
    exact: bool
    database: Path | None = None
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def contenders(args: argparse.Namespace) -> list[Contender]:
    """All that can run here, in the order of the table."""
    found = []
    file = str(args.file)
    if args.tapedeck:
        database = args.scratch / "bench-db"
        command = [args.tapedeck, "replay", file, "--db", str(database)]
        what = "tapedeck replay: 1 s + 1 m bars in the database, synced"
        found.append(Contender("tapedeck", what, command, True, database))
    floor = "floor, one plain thread: {} in memory"
    for name, windows, bars in (("floor", "1s", "1 s bars"), ("floor-1m", "1s,1m", "1 s + 1 m bars")):
        command = [args.floor, file, "--windows", windows]
        found.append(Contender(name, floor.format(bars), command, True))
    for name, module in (("polars", "Polars"), ("duckdb", "DuckDB")):
        if args.python:
            command = [args.python, __file__, "--as", name, "--file", file]
            version = installed_version(args.python, name)
            what = f"{module} {version}: 1 s bars in memory, floating point"
            found.append(Contender(name, what, command, False))
    if args.only:
        found = [contender for contender in found if contender.name in args.only.split(",")]
    return found


def installed_version(python: str, module: str) -> str:
    """The version of a module in another Python."""
    code = f"import importlib.metadata as m; print(m.version({module!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def bars_by_polars(file: str) -> Answer:
    """Lazy, with the streaming engine, on all cores; `first` and `last` keep the file's order."""
    import polars as pl

    columns = {"time": pl.Int64, "symbol": pl.String, "id": pl.Int64, "price": pl.Float64, "qty": pl.Float64}
    price, size = pl.col("price"), pl.col("qty")
    bars = (
        pl.scan_csv(file, schema=columns | {"is_buyer_maker": pl.Boolean})
        .group_by("symbol", second=pl.col("time") // 1000)
        .agg(
            open=price.first(),
            high=price.max(),
            low=price.min(),
            close=price.last(),
            volume=size.sum(),
            vwap=(price * size).sum() / size.sum(),
            trades=pl.len(),
            buy_volume=size.filter(~pl.col("is_buyer_maker")).sum(),
        )
        .collect(engine="streaming")
    )
    sums = bars.select(pl.sum(*SUMS)).row(0, named=True)
    return {"bars": Decimal(bars.height)} | {name: Decimal(repr(value)) for name, value in sums.items()}


def bars_by_duckdb(file: str) -> Answer:
    """On all cores. `first` and `last` do not keep the file's order there; the least and greatest id do."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(
        """
        CREATE TEMP TABLE bars AS
        SELECT symbol, time // 1000 AS second, arg_min(price, id) AS open, max(price) AS high, min(price) AS low,
               arg_max(price, id) AS close, sum(qty) AS volume, sum(price * qty) / sum(qty) AS vwap,
               count(*) AS trades, sum(CASE WHEN is_buyer_maker THEN 0 ELSE qty END) AS buy_volume
        FROM read_csv(?, header = true, columns = {'time': 'BIGINT', 'symbol': 'VARCHAR', 'id': 'BIGINT',
                      'price': 'DOUBLE', 'qty': 'DOUBLE', 'is_buyer_maker': 'BOOLEAN'})
        GROUP BY ALL
        """,
        [file],
    )
    sums = ", ".join(f"sum({name})" for name in SUMS)
    row = connection.execute(f"SELECT count(*), {sums} FROM bars").fetchone()
    return dict(zip(("bars", *SUMS), (Decimal(repr(value)) for value in row)))


def print_answer(answer: Answer) -> None:
    """The form in which the floor prints its own."""
    print(*(f"{name}={value}" for name, value in answer.items()))


def run(contender: Contender) -> Answer:
    """Runs it once, keeps the times, and gives what it answered."""
    if contender.database:
        shutil.rmtree(contender.database, ignore_errors=True)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        begun = time.monotonic()
        process = subprocess.Popen(contender.command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        contender.seconds.append(time.monotonic() - begun)
        contender.cpu.append(usage.ru_utime + usage.ru_stime)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode != 0:
            sys.exit(f"{' '.join(contender.command)} ended with {process.returncode}:\n{err.read()}")
        pairs = (word.split("=", 1) for word in out.read().split() if "=" in word)
        return {} if contender.database else {key: Decimal(value) for key, value in pairs if key in ("bars", *SUMS)}


def answer_in(tapedeck: str, database: Path) -> Answer:
    """The sums over the one-second windows that are in the database."""
    command = [tapedeck, "query", "windows", "--db", str(database), "--window", "1s", "--format", "csv"]
    answer = dict.fromkeys(("bars", *SUMS), Decimal(0))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for row in csv.DictReader(process.stdout):
            answer["bars"] += 1
            for name in SUMS:
                answer[name] += Decimal(row[name] or 0)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return answer


def check(contender: Contender, answer: Answer, expected: Answer) -> None:
    """Ends the program if the answer is not the floor's."""
    for name, value in expected.items():
        got = answer.get(name)
        allowed = 0 if contender.exact or name in ("bars", "trades") else FLOAT_TOLERANCE * abs(value)
        if got is None or abs(got - value) > allowed:
            sys.exit(f"{contender.name} is wrong: the sum of {name} is {got}, the floor has {value}")


def table(ran: list[Contender], rows: int) -> list[tuple[str, ...]]:
    """Head and lines. Speed is relative to tapedeck: above 1 is faster than it."""
    lines = [("what", "seconds", "(min–max)", "cpu s", "rows/s", "speed, tapedeck = 1")]
    ours = next((statistics.median(it.seconds) for it in ran if it.name == "tapedeck"), None)
    for contender in ran:
        median = statistics.median(contender.seconds)
        spread = f"({min(contender.seconds):.2f}–{max(contender.seconds):.2f})"
        cpu = f"{statistics.median(contender.cpu):.2f}"
        speed = f"{ours / median:.2f}" if ours else "not run"
        lines.append((contender.what, f"{median:.2f}", spread, cpu, f"{rows / median / 1e6:.2f} M", speed))
    return lines


def print_table(lines: list[tuple[str, ...]]) -> None:
    """In columns, as a Markdown table."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    rule = tuple("-" * width for width in widths)
    for line in (lines[0], rule, *lines[1:]):
        cells = (f"{cell:<{width}}" if n == 0 else f"{cell:>{width}}" for n, (cell, width) in enumerate(zip(line, widths)))
        print("| " + " | ".join(cells) + " |")


def compare(args: argparse.Namespace) -> None:
    """Runs all, in turns, and prints the table."""
    ran = contenders(args)
    with args.file.open("rb") as file:
        while file.read(1 << 24):
            pass
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    print(f"{args.rows} trades, {args.file.stat().st_size / 1e6:.0f} MB, cached; {cores} cores; whole processes, "
          f"median of {args.runs}, in turns; load before: {load:.2f}")
    if load > 0.5:
        print("the machine is not quiet: trust the ratios, not the seconds")
    expected = run(Contender("floor", "", [args.floor, str(args.file), "--windows", "1s"], True))
    if expected["trades"] != args.rows:
        sys.exit(f"the file has {expected['trades']} trades, not {args.rows}; delete it and start again")
    for turn in range(args.runs):
        for contender in ran:
            print(f"run {turn + 1} of {args.runs}: {contender.name}", file=sys.stderr)
            answer = run(contender)
            if contender.database and turn == 0:
                answer = answer_in(args.tapedeck, contender.database)
            elif contender.database:
                continue
            check(contender, answer, expected)
    print(f"all agree on {expected['bars']} one-second bars and on the sums of {', '.join(SUMS)}")
    print_table(table(ran, args.rows))
    shutil.rmtree(args.scratch / "bench-db", ignore_errors=True)


def main() -> None:
    """Runs as one contender (`--as`) or as the one that compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path, required=True, help="trades as `tapedeck simulate --csv` writes them")
    parser.add_argument("--as", dest="role", choices=("polars", "duckdb"), help=argparse.SUPPRESS)
    parser.add_argument("--tapedeck", help="the program; left out if not given")
    parser.add_argument("--floor", help="the floor's program")
    parser.add_argument("--python", help="a Python with polars and duckdb; they are left out if not given")
    parser.add_argument("--scratch", type=Path, help="folder for the database")
    parser.add_argument("--rows", type=int, default=10_000_000, help="trades in the file")
    parser.add_argument("--runs", type=int, default=5, help="runs of each")
    parser.add_argument("--only", help="names, such as tapedeck,floor")
    args = parser.parse_args()
    match args.role:
        case "polars":
            print_answer(bars_by_polars(str(args.file)))
        case "duckdb":
            print_answer(bars_by_duckdb(str(args.file)))
        case _:
            compare(args)


if __name__ == "__main__":
    main()
