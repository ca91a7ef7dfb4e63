/** How hard the line is driven: requests at once, and blocks in each. It is learned and never set. */
export interface Pace {
  readonly lanes: number;
  /** Blocks a request carries, before a session's own limits. */
  readonly blocks: number;
  /** The bytes a millisecond of the last whole round; 0 before there was one. */
  readonly rate: number;
  /** The round under way: as many answers as there are lanes. */
  readonly round: { readonly since: number; readonly bytes: number; readonly answers: number };
}

/** How a request for blocks ended. Times are in ms. */
export type Answer =
  | { readonly ok: true; readonly bytes: number; readonly began: number; readonly ended: number }
  | { readonly ok: false; readonly ended: number };

export const fewestLanes = 2;
// A browser opens six connections to a host (HTTP/1.1); one stays free for the page itself.
export const mostLanes = 5;
export const mostBlocks = 64;

/** A request shorter than this spends too much of its time on coming and going, in ms. */
const tooShort = 1_000;
/** A request longer than this loses too much when it breaks, in ms. */
const tooLong = 8_000;

export function startPace(now: number): Pace {
  return { lanes: 4, blocks: 1, rate: 0, round: { since: now, bytes: 0, answers: 0 } };
}

/**
 * The pace after an answer: additive increase while it pays, multiplicative decrease on a failure (AIMD, as TCP
 * does). Lanes change once a round, requests grow and shrink with the time that they take.
 */
export function adapt(pace: Pace, answer: Answer): Pace {
  const fresh = { since: answer.ended, bytes: 0, answers: 0 };
  if (!answer.ok) {
    return {
      lanes: Math.max(fewestLanes, Math.floor(pace.lanes / 2)),
      blocks: Math.max(1, Math.floor(pace.blocks / 2)),
      rate: 0,
      round: fresh,
    };
  }
  const took = answer.ended - answer.began;
  const blocks = took < tooShort ? pace.blocks * 2 : took > tooLong ? Math.floor(pace.blocks / 2) : pace.blocks;
  const next = { ...pace, blocks: Math.min(mostBlocks, Math.max(1, blocks)) };
  const round = {
    since: pace.round.since,
    bytes: pace.round.bytes + answer.bytes,
    answers: pace.round.answers + 1,
  };
  if (round.answers < pace.lanes) return { ...next, round };
  const rate = round.bytes / Math.max(1, answer.ended - round.since);
  const step = rate > pace.rate * 1.05 ? 1 : rate < pace.rate * 0.8 ? -1 : 0;
  return { ...next, lanes: Math.min(mostLanes, Math.max(fewestLanes, pace.lanes + step)), rate, round: fresh };
}

/** How many blocks a request of a session carries: whole groups, within the session's limit. */
export function blocksPerRequest(pace: Pace, requestBlocks: number, maxRequestBlocks: number): number {
  const wanted = Math.floor(Math.min(pace.blocks, maxRequestBlocks) / requestBlocks) * requestBlocks;
  return Math.min(maxRequestBlocks, Math.max(requestBlocks, wanted));
}

/**
 * The next consecutive block numbers of an ascending list, at most `blocks`, and ending where a group of
 * requestBlocks ends, so that the request after it begins with a whole group.
 */
export function nextGroup(missing: readonly number[], requestBlocks: number, blocks: number): number[] {
  const first = missing[0];
  if (first === undefined) return [];
  const end = first - (first % requestBlocks) + Math.max(blocks, requestBlocks);
  const group = [first];
  for (let at = 1; at < missing.length && group.length < blocks; at++) {
    const n = missing[at];
    if (n !== first + at || n >= end) break;
    group.push(n);
  }
  return group;
}
