import { type Level, levelOf } from "./level";

/** Plays what the bot says. */
export class Speaker {
  private readonly element = new Audio();
  private context: AudioContext | undefined;
  private meter: Level | undefined;
  private track: MediaStreamTrack | undefined;

  /** How loud the bot is. */
  readonly level: Level = { read: () => this.meter?.read() ?? 0 };

  constructor() {
    this.element.autoplay = true;
  }

  /** Play a track until another one comes or `stop` is called. */
  play(track: MediaStreamTrack): void {
    if (this.track === track) return;
    this.stop();
    this.track = track;
    const stream = new MediaStream([track]);
    this.element.srcObject = stream;
    void this.element.play().catch(() => undefined);
    this.context = new AudioContext();
    void this.context.resume();
    this.meter = levelOf(this.context.createMediaStreamSource(stream));
  }

  /** Fall silent. */
  stop(): void {
    this.track = undefined;
    this.element.srcObject = null;
    void this.context?.close();
    this.context = undefined;
    this.meter = undefined;
  }

  /** Whether this browser lets a page choose. */
  get canChoose(): boolean {
    return "setSinkId" in this.element;
  }

  /** Play on a device; empty for the browser's choice. */
  async choose(deviceId: string): Promise<void> {
    if (this.canChoose) await this.element.setSinkId(deviceId).catch(() => undefined);
  }
}
