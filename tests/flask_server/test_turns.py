import asyncio

import pytest

from flask_server.turns import QueueFullError, Turns


def test_turns_are_taken_in_the_order_of_arrival() -> None:
    """One request at a time, each in the order in which it came."""

    async def main() -> list[int]:
        turns, order = Turns(1, 10), list[int]()

        async def take(number: int) -> None:
            async with turns:
                order.append(number)
                await asyncio.sleep(0)
                assert order[-1] == number  # nobody else had a turn meanwhile

        await asyncio.gather(*map(take, range(5)))
        return order

    assert asyncio.run(main()) == [0, 1, 2, 3, 4]


def test_so_many_wait_and_one_more_is_refused() -> None:
    """Beyond the turns and the queue a request is refused at once, and there is room again afterwards."""

    async def main() -> None:
        turns, go_on = Turns(2, 3), asyncio.Event()

        async def take() -> None:
            async with turns:
                await go_on.wait()

        taken = [asyncio.create_task(take()) for _ in range(5)]
        await asyncio.sleep(0)
        assert turns.full
        with pytest.raises(QueueFullError):
            await take()
        go_on.set()
        await asyncio.gather(*taken)
        await asyncio.sleep(0)
        assert not turns.full
        await take()

    asyncio.run(main())


def test_a_request_that_is_cancelled_gives_its_place_away() -> None:
    """Neither one that waits nor one that was just given its turn takes the turn with it."""

    async def main() -> None:
        turns, go_on = Turns(1, 10), asyncio.Event()

        async def take() -> str:
            async with turns:
                await go_on.wait()
                return "answered"

        first, second, third, fourth = (asyncio.create_task(take()) for _ in range(4))
        await asyncio.sleep(0)
        second.cancel()
        go_on.set()
        assert await first == "answered"
        await asyncio.sleep(0)  # the third one is given its turn, and is cancelled before it takes it
        third.cancel()
        assert await asyncio.wait_for(fourth, 10) == "answered"

    asyncio.run(main())
