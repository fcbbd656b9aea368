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
  /** Removes and returns the oldest item of the highest priority; nothing when that is lower than asked for. */
  shift(atLeast?: I["priority"]): I | undefined;
  /** Items by priority, those of empty lanes too. */
  sizes(): ReadonlyMap<number, number>;
}

interface Lane<I> {
  readonly priority: number;
  readonly items: Map<string, I>;
  /**
   * Stands before the first item. It is kept, because a Map leaves holes where items were deleted: a new iterator would
   * walk over all holes at each `shift`, this one walks over each once, and still comes to what is added behind.
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
    // An iterator that has reached the end stays there: what was added since needs a new one.
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
    shift: (atLeast = Number.NEGATIVE_INFINITY) => {
      for (const lane of lanes.values()) {
        if (lane.priority < atLeast) return undefined;
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
