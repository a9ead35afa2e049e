"""What Python does in the rows that say it: a function for each, by its id. Prints the ids in order."""

import asyncio
import copy
import pickle
import sys
from contextvars import ContextVar, Token, copy_context

v = ContextVar("v", default="none")
w = ContextVar("w", default="none")


def outcome(fn, *args):
    try:
        return fn(*args)
    except Exception as error:
        return type(error)


async def put(value, variable=v):
    before = variable.get()
    await asyncio.sleep(0)
    variable.set(value)
    return before


async def in_task(fn, *args):
    async def run():
        return outcome(fn, *args)

    return await asyncio.create_task(run())


async def V01():
    plain = ContextVar("plain")
    assert (v.get("argument"), v.get()) == ("argument", "none")
    assert outcome(plain.get) is LookupError
    v.set("value")
    assert v.get("argument") == "value"


async def V02():
    assert ContextVar("v") is not v


async def V03():
    again = ContextVar("v", default="other")
    assert (again.get(), v.get()) == ("other", "none")


async def V04():
    assert outcome(pickle.dumps, v) is TypeError


async def V06():
    async def push():
        v.get().append("pushed")

    v.set([])
    await push()
    assert v.get() == ["pushed"]


async def V07():
    async def is_one():
        return v.get() is w.get()

    value = []
    v.set(value)
    w.set(value)
    assert await is_one()


async def C01():
    await put("callee")
    assert v.get() == "callee"


async def C02():
    v.set("before")
    task = asyncio.create_task(put("task"))
    v.set("after")
    assert (await task, v.get()) == ("before", "after")


async def C03():
    await asyncio.gather(put("gathered"))
    assert v.get() == "none"


async def C04():
    called = asyncio.Event()
    asyncio.get_running_loop().call_soon(lambda: (v.set("callback"), called.set()))
    await called.wait()
    assert v.get() == "none"


async def C05():
    handled = asyncio.Event()

    async def handle(_reader, writer):
        v.set("handler")
        writer.close()
        handled.set()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await handled.wait()
        writer.close()
    assert v.get() == "none"


async def C06():
    await put("late")
    assert v.get() == "late"


async def C07():
    async with asyncio.timeout(None):
        await put("inside")
    assert v.get() == "inside"


async def R01():
    v.set("caller")
    assert (await put("callee"), v.get()) == ("caller", "callee")


async def R02():
    async def fail():
        v.set("callee")
        raise ValueError

    try:
        await fail()
    except ValueError:
        assert v.get() == "callee"


async def R03():
    async def below(depth):
        seen = [v.get()]
        if depth > 0:
            seen += await below(depth - 1)
        v.set(f"{v.get()}<{depth}")
        return seen

    v.set("top")
    assert await below(2) == ["top", "top", "top"]
    assert v.get() == "top<0<1<2"


async def R04():
    async def keeps(value):
        v.set(value)
        for _ in range(5):
            await asyncio.sleep(0)
        return v.get() == value

    assert all(await asyncio.gather(*(keeps(i) for i in range(40))))
    assert v.get() == "none"


async def R05():
    v.set("before")
    assert await asyncio.gather(put("a"), put("b")) == ["before", "before"]
    assert v.get() == "before"


async def R06():
    task = asyncio.create_task(put("a"))
    await put("b", w)
    await task
    assert (v.get(), w.get()) == ("none", "b")


async def R07():
    task = asyncio.create_task(put("callee", w))
    v.set("caller")
    await task
    assert (v.get(), w.get()) == ("caller", "none")


async def R08():
    call = put("callee")
    v.set("between")
    assert await call == "between"


async def R09():
    async def hang():
        v.set("callee")
        await asyncio.sleep(60)

    try:
        async with asyncio.timeout(0.01):
            await hang()
    except TimeoutError:
        assert v.get() == "callee"


async def R11():
    left = []

    async def leave_behind():
        left.append(asyncio.create_task(put("left behind")))

    await leave_behind()
    await left[0]
    assert v.get() == "none"


async def steps():
    try:
        for i in range(1, 9):
            seen = v.get()
            v.set(f"body {i}")
            yield seen
    finally:
        w.set("end")


async def G01():
    iterator = steps()
    v.set("asker")
    assert (await anext(iterator), v.get()) == ("asker", "body 1")
    v.set("asker again")
    assert (await anext(iterator), v.get()) == ("asker again", "body 2")


async def G02():
    iterator = steps()

    async def ask():
        return (await anext(iterator), v.get())

    async def two():
        v.set("two")
        return await ask()

    v.set("one")
    assert await ask() == ("one", "body 1")
    assert await asyncio.create_task(two()) == ("two", "body 2")
    assert await ask() == ("body 1", "body 3")


async def G03():
    async for _ in steps():
        break
    await asyncio.sleep(0.01)
    assert w.get() == "none"
    closed = steps()
    await anext(closed)
    await closed.aclose()
    assert w.get() == "end"


async def G04():
    async def around():
        token = v.set("inside")
        try:
            yield v.get()
        finally:
            v.reset(token)

    async for inside in around():
        assert (inside, v.get()) == ("inside", "inside")
    assert v.get() == "none"
    iterator = around()
    await anext(iterator)
    try:
        await asyncio.create_task(iterator.aclose())
        raise AssertionError
    except ValueError:
        pass


async def T01():
    one = v.set("one")
    two = v.set("two")
    assert one.old_value is Token.MISSING and two.old_value == "one"
    v.reset(two)
    assert v.get() == "one"
    v.reset(one)
    assert v.get() == "none"


async def T02():
    token = v.set("value")
    v.reset(token)
    assert outcome(v.reset, token) is RuntimeError
    assert outcome(w.reset, token) is RuntimeError


async def T03():
    token = v.set("value")
    assert outcome(w.reset, token) is ValueError
    assert await in_task(w.reset, token) is ValueError
    v.reset(token)


async def T04():
    assert outcome(v.reset, None) is TypeError


async def T05():
    token = v.set("value")
    assert copy_context().run(outcome, v.reset, token) is ValueError
    assert await in_task(v.reset, token) is ValueError
    v.reset(token)
    assert v.get() == "none"


async def T06():
    async def reset(token):
        v.reset(token)

    token = v.set("value")
    await reset(token)
    assert v.get() == "none"
    assert outcome(v.reset, token) is RuntimeError


async def T07():
    async def set_there():
        return v.set("callee")

    v.set("caller")
    token = await set_there()
    assert (v.get(), token.old_value) == ("callee", "caller")
    v.reset(token)
    assert v.get() == "caller"


async def T08():
    async def set_there(value):
        return v.set(value)

    for token in await asyncio.gather(set_there("a"), set_there("b")):
        assert outcome(v.reset, token) is ValueError


async def T09():
    async def give_back(token):
        return token

    token = v.set("value")
    assert await in_task(v.reset, token) is ValueError
    assert await asyncio.create_task(give_back(token)) is token
    v.reset(token)


async def T10():
    async def keep(token):
        await asyncio.sleep(0)
        return outcome(v.reset, token)

    token = v.set("value")
    task = asyncio.create_task(keep(token))
    await asyncio.sleep(0)
    v.reset(token)
    assert await task is RuntimeError


async def T11():
    async def reset_there(token):
        return outcome(v.reset, token)

    token = v.set("value")
    seen = await asyncio.gather(reset_there(token), reset_there(token))
    assert seen == [ValueError, ValueError]


async def T13():
    async def reset_kept():
        v.reset(w.get())

    token = v.set("value")
    w.set(token)
    await reset_kept()
    assert v.get() == "none" and w.get() is token


async def T14():
    token = v.set("value")
    assert outcome(pickle.dumps, token) is TypeError
    assert outcome(copy.copy, token) is TypeError


async def E01():
    async def read():
        return v.get()

    v.set(print)
    assert await read() is print


for name, row in list(vars(sys.modules["__main__"]).items()):
    if name[0] in "VCRGTE" and name[1:].isdigit():
        asyncio.run(row())
        print(name)
