// An answer of the server that is asked for again when its question or the data changed. Old data stays until new data
// lands; the same question asked while it is under way is asked once more afterwards, never cut off (live runs would starve).
export class Resource<T> {
  data: T | null = $state.raw(null);
  error: Error | null = $state.raw(null);
  loading = $state(false);
  /** True from 300 ms of waiting without any data on: before that, nothing is drawn. */
  slow = $state(false);
  #question = "";
  #again = false;
  #controller: AbortController | null = null;

  load(question: string, fetcher: (signal: AbortSignal) => Promise<T>): void {
    if (this.#controller && question === this.#question) {
      this.#again = true;
      return;
    }
    this.#controller?.abort();
    this.#question = question;
    void this.#run(fetcher);
  }

  clear(): void {
    this.#controller?.abort();
    this.#controller = null;
    this.#question = "";
    this.data = null;
    this.error = null;
    this.loading = false;
  }

  async #run(fetcher: (signal: AbortSignal) => Promise<T>): Promise<void> {
    const controller = new AbortController();
    this.#controller = controller;
    this.loading = true;
    const patience = setTimeout(() => (this.slow = this.data === null), 300);
    try {
      const data = await fetcher(controller.signal);
      if (controller.signal.aborted) return;
      this.data = data;
      this.error = null;
    } catch (error) {
      if (controller.signal.aborted) return;
      this.error = error as Error;
    } finally {
      clearTimeout(patience);
      if (this.#controller === controller) {
        this.#controller = null;
        this.loading = false;
        this.slow = false;
        if (this.#again) {
          this.#again = false;
          void this.#run(fetcher);
        }
      }
    }
  }
}
