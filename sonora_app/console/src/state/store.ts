/** Holds a state that changes only by what happens, and tells who watches. */
export class Store<State, Event> {
  private readonly watchers = new Set<() => void>();

  constructor(
    private readonly reduce: (state: State, event: Event) => State,
    private current: State,
  ) {}

  get state(): State {
    return this.current;
  }

  /** Something happened. */
  readonly dispatch = (event: Event): void => {
    const next = this.reduce(this.current, event);
    if (next === this.current) return;
    this.current = next;
    for (const watcher of this.watchers) watcher();
  };

  /** Be told of every change; the result ends it. */
  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }
}
