/** Something in a lane. */
export interface LaneItem {
  readonly id: string;
  readonly priority: number;
}

/** Items by priority, first in first out within one: every operation takes O(1) for a fixed set of priorities. */
export interface Lanes<I extends LaneItem> {
  /** Adds the item at the end of its lane; one of the same id leaves the lane that it is in. */
  push(item: I): void;
  get(id: string): I | undefined;
  /** Removes and returns the oldest item of the highest priority. */
  shift(): I | undefined;
  /** Items by priority, those of empty lanes too. */
  sizes(): ReadonlyMap<number, number>;
}

interface Lane<I> {
  readonly priority: number;
  readonly items: Map<string, I>;
  /**
   * Where the lane begins. A Map iterates over what is added behind and skips what was deleted, so an iterator that is
   * kept never walks twice over the holes that its predecessors left; a new one each time would.
   */
  order: Iterator<I>;
}

/** Empty lanes. @param priorities all that there are, in any order */
export function createLanes<I extends LaneItem>(priorities: readonly I["priority"][]): Lanes<I> {
  const lanes = new Map<number, Lane<I>>();
  for (const priority of [...priorities].sort((a, b) => b - a)) {
    const items = new Map<string, I>();
    lanes.set(priority, { priority, items, order: items.values() });
  }
  const laneOf = new Map<string, Lane<I>>();

  const first = (lane: Lane<I>): I | undefined => {
    const step = lane.order.next();
    if (step.done !== true) return step.value;
    // The end was reached once; what came afterwards needs a new iterator.
    lane.order = lane.items.values();
    const again = lane.order.next();
    return again.done === true ? undefined : again.value;
  };

  return {
    push: (item) => {
      const lane = lanes.get(item.priority);
      if (lane === undefined) throw new RangeError(`there is no priority ${item.priority}`);
      laneOf.get(item.id)?.items.delete(item.id);
      laneOf.set(item.id, lane);
      lane.items.set(item.id, item);
    },
    get: (id) => laneOf.get(id)?.items.get(id),
    shift: () => {
      for (const lane of lanes.values()) {
        if (lane.items.size === 0) continue;
        const item = first(lane);
        if (item === undefined) continue;
        lane.items.delete(item.id);
        laneOf.delete(item.id);
        return item;
      }
      return undefined;
    },
    sizes: () => new Map([...lanes.values()].map(({ priority, items }) => [priority, items.size])),
  };
}
