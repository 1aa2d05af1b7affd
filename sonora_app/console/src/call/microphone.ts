import type { Tracks } from "@pipecat-ai/client-js";
import { WavMediaManager } from "@pipecat-ai/small-webrtc-transport";
import { type Level, levelOf } from "./level";

/** Why there is no microphone. */
export type MicrophoneProblem = "blocked" | "missing" | "busy" | "unsupported" | "skipped";

/**
 * The microphone, as a media manager of Pipecat's transport that loads nothing.
 *
 * What the bot hears is the end of an audio graph, not the device itself. So the device can be
 * changed, or be absent, while the connection stays.
 */
export class Microphone extends WavMediaManager {
  private context: AudioContext | undefined;
  private output: MediaStreamAudioDestinationNode | undefined;
  private source: MediaStreamAudioSourceNode | undefined;
  private input: MediaStream | undefined;
  private meter: Level | undefined;
  private skip: (() => void) | undefined;

  /** How loud the user is. */
  readonly level: Level = { read: () => this.meter?.read() ?? 0 };

  /**
   * Ask for the device and be ready for a call.
   *
   * @param deviceId - Which device; empty for the browser's choice.
   * @param wanted - False for a call by typing alone.
   * @returns Why there is no microphone, or null. The call can be held without one.
   */
  async open(deviceId: string, wanted: boolean): Promise<MicrophoneProblem | null> {
    await this.disconnect();
    this.context = new AudioContext();
    void this.context.resume();
    this.output = this.context.createMediaStreamDestination();
    this._micEnabled = true;
    if (!wanted) return "skipped";
    const skipped = new Promise<"skipped">((resolve) => {
      this.skip = () => resolve("skipped");
    });
    return Promise.race([this.listen(deviceId), skipped]);
  }

  /** Stop waiting for the user's permission. */
  giveUp(): void {
    this.skip?.();
  }

  override async initialize(): Promise<void> {}

  override async connect(): Promise<void> {}

  override async disconnect(): Promise<void> {
    this.release();
    this.output = undefined;
    const context = this.context;
    this.context = undefined;
    await context?.close();
  }

  override async getAllMics(): Promise<MediaDeviceInfo[]> {
    return devices("audioinput");
  }

  override async updateMic(id: string): Promise<void> {
    await this.listen(id);
  }

  override get selectedMic(): MediaDeviceInfo | Record<string, never> {
    return {};
  }

  override async enableMic(enable: boolean): Promise<void> {
    this._micEnabled = enable;
    for (const track of this.input?.getAudioTracks() ?? []) track.enabled = enable;
  }

  override get isMicEnabled(): boolean {
    return this._micEnabled;
  }

  override tracks(): Tracks {
    const audio = this.output?.stream.getAudioTracks()[0];
    return { local: audio ? { audio } : {} };
  }

  private async listen(deviceId: string): Promise<MicrophoneProblem | null> {
    const { context, output } = this;
    if (!context || !output) return "skipped";
    if (!navigator.mediaDevices) return "unsupported";
    let input: MediaStream;
    try {
      input = await navigator.mediaDevices.getUserMedia({
        audio: {
          echoCancellation: true,
          noiseSuppression: true,
          autoGainControl: true,
          ...(deviceId && { deviceId: { exact: deviceId } }),
        },
      });
    } catch (error) {
      return problemOf(error);
    }
    if (this.context !== context) {
      // The call was over before the user answered.
      for (const track of input.getTracks()) track.stop();
      return "skipped";
    }
    this.release();
    this.input = input;
    this.source = context.createMediaStreamSource(input);
    this.source.connect(output);
    this.meter = levelOf(this.source);
    await this.enableMic(this._micEnabled);
    return null;
  }

  private release(): void {
    this.source?.disconnect();
    for (const track of this.input?.getTracks() ?? []) track.stop();
    this.source = undefined;
    this.input = undefined;
    this.meter = undefined;
  }
}

/** The audio devices of one kind that the user lets the page know of. */
export async function devices(kind: "audioinput" | "audiooutput"): Promise<MediaDeviceInfo[]> {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return all.filter((device) => device.kind === kind && device.deviceId !== "");
}

function problemOf(error: unknown): MicrophoneProblem {
  switch (error instanceof DOMException ? error.name : "") {
    case "NotAllowedError":
    case "SecurityError":
      return "blocked";
    case "NotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "AbortError":
      return "busy";
    default:
      return "unsupported";
  }
}
