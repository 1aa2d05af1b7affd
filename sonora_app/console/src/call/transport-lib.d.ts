// The types that @pipecat-ai/small-webrtc-transport names but does not ship: as much of them as
// the console uses.

declare module "@pipecat-ai/transport-lib" {
  import type { PipecatClientOptions, RTVIEventCallbacks, Tracks } from "@pipecat-ai/client-js";

  export abstract class MediaManager {
    protected _callbacks: RTVIEventCallbacks;
    protected _micEnabled: boolean;
    setClientOptions(options: PipecatClientOptions, override?: boolean): void;
    initialize(): Promise<void>;
    connect(): Promise<void>;
    disconnect(): Promise<void>;
    getAllMics(): Promise<MediaDeviceInfo[]>;
    updateMic(id: string): Promise<void>;
    get selectedMic(): MediaDeviceInfo | Record<string, never>;
    enableMic(enable: boolean): Promise<void>;
    get isMicEnabled(): boolean;
    tracks(): Tracks;
  }
  export class WavMediaManager extends MediaManager {}
  export class DailyMediaManager extends MediaManager {}
}
