"""An in-memory unit of work that keeps PostgreSQL's contract and needs no event loop.

    store = MemoryStore(clock, boundary)         # one database; survives every machine that dies
    transactions = MemoryTransactions(store, "api")   # lockserver.app.ports.Transactions, as a role
    store.watch(channel, payload)                # lockserver.app.ports.Changes
    signed = run(some_use_case(transactions, …)) # drives one coroutine alone

- `boundary` is an async function that the store awaits with a name ("grants.save", "steps.place",
  "commit", "committed", …) before every effect and after every commit. It may raise `CrashError` (the
  process dies there: before "commit" has returned nothing is kept, at "committed" all of it is), and it
  may `await Pause()` to let others go on. It can be set later: `store.boundary = …`.
- Whoever drives coroutines sends None. What a coroutine yields is a `Pause`; a `Wait` also says when to
  go on: `ready()`, or at the instant `until` (virtual time). Resuming early is harmless.
- A row that another transaction holds is waited for with a `Wait`; a circle raises `DeadlockError`.
- Under asyncio it serves as long as nobody has to wait for a row.
- To kill a process: `coroutine.close()`, or raise CrashError in the boundary. What it held is free then.
- From outside: `store.rows(table, **equal)`, `store.plant(table, **values)` and `store.force(table,
  where, **changes)` (both with the triggers off), `store.heard` (every notice delivered).

The schema's laws are read from `lockserver.db.tables` and from the migration's triggers. Not modelled:
which role may touch which table (PostgreSQL's grants), and time-outs of waiting and idling transactions.
"""

from tests.sim.memory.pausing import (
    CrashError,
    DeadlockError,
    Pause,
    StuckError,
    Wait,
    interleave,
    run,
)
from tests.sim.memory.store import MemoryStore, MemoryWatch
from tests.sim.memory.transaction import AbortedError
from tests.sim.memory.unit_of_work import MemoryTransactions, MemoryUnitOfWork

__all__ = [
    "AbortedError",
    "CrashError",
    "DeadlockError",
    "MemoryStore",
    "MemoryTransactions",
    "MemoryUnitOfWork",
    "MemoryWatch",
    "Pause",
    "StuckError",
    "Wait",
    "interleave",
    "run",
]
