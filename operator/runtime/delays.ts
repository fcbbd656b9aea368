/** Something that is due at a time. */
export interface Delayed {
  readonly id: string;
  /** Monotonic milliseconds. Changed only through `put`. */
  readonly readyAt: number;
}

/** Entries by id and by time: every operation takes at most O(log n). */
export interface Delays<E extends Delayed> {
  /** Adds the entry, or puts it in place of the one with its id. */
  put(entry: E): void;
  get(id: string): E | undefined;
  remove(id: string): E | undefined;
  /** The entry that is due first; of several that are due at the same time, the one that was put first. */
  first(): E | undefined;
  size(): number;
}

interface Node<E> {
  entry: E;
  readonly order: number;
  place: number;
}

/** An empty set: a binary heap whose nodes know their places. */
export function createDelays<E extends Delayed>(): Delays<E> {
  const heap: Node<E>[] = [];
  const nodes = new Map<string, Node<E>>();
  let order = 0;

  const isBefore = (a: Node<E>, b: Node<E>): boolean =>
    a.entry.readyAt < b.entry.readyAt || (a.entry.readyAt === b.entry.readyAt && a.order < b.order);
  const set = (node: Node<E>, place: number): void => {
    heap[place] = node;
    node.place = place;
  };
  const rise = (node: Node<E>): void => {
    let { place } = node;
    for (let up = (place - 1) >> 1; place > 0; up = (place - 1) >> 1) {
      const parent = heap[up];
      if (parent === undefined || !isBefore(node, parent)) break;
      set(parent, place);
      place = up;
    }
    set(node, place);
  };
  const sink = (node: Node<E>): void => {
    let { place } = node;
    for (;;) {
      const [left, right] = [heap[2 * place + 1], heap[2 * place + 2]];
      const child = left !== undefined && right !== undefined && isBefore(right, left) ? right : left;
      if (child === undefined || !isBefore(child, node)) break;
      const down = child.place;
      set(child, place);
      place = down;
    }
    set(node, place);
  };
  const remove = (id: string): E | undefined => {
    const node = nodes.get(id);
    if (node === undefined) return undefined;
    nodes.delete(id);
    const last = heap.pop();
    if (last !== undefined && last !== node) {
      last.place = node.place;
      sink(last);
      rise(last);
    }
    return node.entry;
  };

  return {
    put: (entry) => {
      const known = nodes.get(entry.id);
      // An entry that is put again keeps its turn among those of the same time.
      const node: Node<E> = { entry, order: known?.order ?? order++, place: heap.length };
      remove(entry.id);
      node.place = heap.length;
      heap.push(node);
      nodes.set(entry.id, node);
      rise(node);
    },
    get: (id) => nodes.get(id)?.entry,
    remove,
    first: () => heap[0]?.entry,
    size: () => heap.length,
  };
}
