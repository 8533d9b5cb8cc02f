from hypothesis import given
from hypothesis import strategies as st

from imfuse.training.batches import EpochBatches

SIZES = {"length": st.integers(1, 60), "batch": st.integers(1, 9), "processes": st.integers(1, 5)}


@given(shuffle=st.booleans(), epoch=st.integers(0, 3), **SIZES)
def test_processes_share_every_item_of_an_epoch(
    length: int, batch: int, processes: int, shuffle: bool, epoch: int
) -> None:
    seen = []
    for rank in range(processes):
        batches = EpochBatches(length, batch, shuffle, 1, rank, processes)
        batches.set_epoch(epoch)
        own = list(batches)
        assert len(own) == len(batches)
        seen.append([index for part in own for when, index in part if when == epoch])
    assert len({len(part) for part in seen}) == 1, "equal work"
    assert {index for part in seen for index in part} == set(range(length))


@given(skip=st.integers(0, 5), shuffle=st.booleans())
def test_skipping_gives_the_rest_of_the_same_epoch_once(skip: int, shuffle: bool) -> None:
    whole = list(EpochBatches(23, 4, shuffle, 7))
    rest = EpochBatches(23, 4, shuffle, 7)
    rest.skip = skip
    assert list(rest) == whole[skip:]
    assert list(rest) == whole


def test_shuffling_differs_between_epochs_and_seeds_only() -> None:
    def order(seed: int, epoch: int, shuffle: bool = True) -> list[int]:
        batches = EpochBatches(50, 50, shuffle, seed)
        batches.set_epoch(epoch)
        return [index for part in batches for _, index in part]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
    assert order(0, 1, shuffle=False) == list(range(50))
