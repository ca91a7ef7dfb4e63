import { describe, expect, it } from 'vitest';
import { adapt, blocksPerRequest, fewestLanes, mostBlocks, mostLanes, nextGroup, startPace, type Pace } from './pace';

const block = 4 << 20;

/** A line that carries so many bytes a ms for all lanes together, and no more than perLane for each. */
function drive(pace: Pace, rounds: number, line: { total: number; perLane: number }, now = 0): Pace {
  for (let round = 0; round < rounds; round++) {
    const { lanes, blocks } = pace;
    const took = (blocks * block) / Math.min(line.perLane, line.total / lanes);
    for (let lane = 0; lane < lanes; lane++) {
      pace = adapt(pace, { ok: true, bytes: blocks * block, began: now, ended: now + took });
    }
    now += took;
  }
  return pace;
}

describe('adapt', () => {
  it('opens more lanes while each adds to the rate', () => {
    expect(drive(startPace(0), 6, { total: 1e9, perLane: 2000 }).lanes).toBe(mostLanes);
  });

  it('opens at most one more on a line that is full', () => {
    expect(drive(startPace(0), 30, { total: 2000, perLane: 1e9 }).lanes).toBe(5);
  });

  it('makes requests last between one and eight seconds', () => {
    const fast = drive(startPace(0), 30, { total: 1e5, perLane: 1e5 });
    expect((fast.blocks * block) / (1e5 / fast.lanes)).toBeGreaterThan(1000);
    expect(fast.blocks).toBeLessThanOrEqual(mostBlocks);
    // 128 KiB/s: one block is all that a request may carry.
    expect(drive(startPace(0), 30, { total: 131, perLane: 131 }).blocks).toBe(1);
  });

  it('halves both on a failure and never goes below its least', () => {
    let pace: Pace = { ...startPace(0), lanes: 5, blocks: 16 };
    pace = adapt(pace, { ok: false, ended: 1 });
    expect(pace).toMatchObject({ lanes: 2, blocks: 8 });
    for (let n = 0; n < 9; n++) pace = adapt(pace, { ok: false, ended: 2 });
    expect(pace).toMatchObject({ lanes: fewestLanes, blocks: 1 });
  });

  it('closes a lane when the rate falls by a fifth', () => {
    const pace = adapt(
      { lanes: 4, blocks: 2, rate: 100, round: { since: 0, bytes: 0, answers: 3 } },
      { ok: true, bytes: 70_000, began: 0, ended: 1000 },
    );
    expect(pace.lanes).toBe(3);
  });
});

describe('a request', () => {
  it('carries whole groups within the limit', () => {
    const pace = (blocks: number) => ({ ...startPace(0), blocks });
    expect(blocksPerRequest(pace(1), 1, 16)).toBe(1);
    expect(blocksPerRequest(pace(1), 2, 16)).toBe(2);
    expect(blocksPerRequest(pace(7), 2, 16)).toBe(6);
    expect(blocksPerRequest(pace(64), 1, 16)).toBe(16);
    expect(blocksPerRequest(pace(64), 3, 16)).toBe(15);
    // A proxy's bound wins over the store's wish.
    expect(blocksPerRequest(pace(1), 4, 2)).toBe(2);
  });

  it('takes what is consecutive and ends with a group', () => {
    expect(nextGroup([0, 1, 2, 3, 4], 2, 4)).toEqual([0, 1, 2, 3]);
    expect(nextGroup([1, 2, 3, 4, 5], 2, 4)).toEqual([1, 2, 3]);
    expect(nextGroup([3, 7, 8], 1, 4)).toEqual([3]);
    expect(nextGroup([7, 8, 9], 1, 1)).toEqual([7]);
    expect(nextGroup([2, 3, 4, 5], 4, 2)).toEqual([2, 3]);
    expect(nextGroup([], 1, 4)).toEqual([]);
  });
});
