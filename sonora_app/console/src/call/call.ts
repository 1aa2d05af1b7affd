import { type APIRequest, PipecatClient, RTVIMessage } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport } from "@pipecat-ai/small-webrtc-transport";
import type { CallState, Problem } from "../state/model";
import type { Happened } from "../state/reduce";
import type { Store } from "../state/store";
import { Microphone } from "./microphone";
import { Speaker } from "./speaker";

/** How long connecting may take, in milliseconds. */
const CONNECT_MS = 15_000;
/** How long the bot may take to be ready once connected. A bot that crashes never is. */
const BOT_READY_MS = 12_000;

/** Whose conversation a call is to open, and how. */
export interface CallOptions {
  conversationId: string | null;
  userId: string | null;
  /** What proves who calls, where the bot asks for it. It is sent, and kept nowhere. */
  accessToken: string | null;
  language: string | null;
  microphoneId: string;
  withMicrophone: boolean;
}

/** Pipecat's client, with everything that it gets or sends shown to somebody. */
class ObservedClient extends PipecatClient {
  onTraffic: (out: boolean, message: RTVIMessage) => void = () => undefined;

  protected override handleMessage(message: RTVIMessage): void {
    this.onTraffic(false, message);
    super.handleMessage(message);
  }
}

/** The transport, with what is sent shown to somebody. */
class ObservedTransport extends SmallWebRTCTransport {
  onSent: (message: RTVIMessage) => void = () => undefined;

  override sendMessage(message: RTVIMessage): void {
    this.onSent(message);
    super.sendMessage(message);
  }
}

/** Holds calls, one at a time, and tells the store what happens in them. */
export class Call {
  readonly microphone = new Microphone();
  readonly speaker = new Speaker();
  private client: ObservedClient | undefined;
  private started = 0;

  constructor(private readonly store: Store<CallState, Happened>) {}

  /** Connect, open the conversation, and talk. Every failure is told to the store. */
  async start(options: CallOptions): Promise<void> {
    const { dispatch } = this.store;
    const run = ++this.started;
    dispatch({ what: "started", conversationId: options.conversationId });
    const problem = await this.microphone.open(options.microphoneId, options.withMicrophone);
    if (run !== this.started) return;
    dispatch({ what: "microphone", problem });
    dispatch({ what: "phase", phase: "connecting" });
    try {
      const client = this.connectable();
      await this.reach(client);
      const answer = await client.sendClientRequest("action", {
        action: "set_conversation_id",
        arguments: {
          conversation_id: options.conversationId,
          user_id: options.userId,
          access_token: options.accessToken,
          language: options.language,
        },
      });
      const ready = answer as { conversation_id: string; resumed: boolean; put_back: boolean };
      dispatch({
        what: "opened",
        conversationId: ready.conversation_id,
        resumed: ready.resumed,
        putBack: ready.put_back,
      });
    } catch (error) {
      if (run !== this.started) return;
      dispatch({ what: "failed", problem: problemOf(error) });
      await this.leave();
    }
  }

  /** Say something in writing. */
  async type(text: string): Promise<void> {
    const key = this.store.state.nextKey;
    this.store.dispatch({ what: "typed", key, text });
    try {
      await this.client?.sendClientRequest("action", {
        action: "user_text_message",
        arguments: { text },
      });
    } catch (error) {
      this.store.dispatch({ what: "refused", key, reason: problemOf(error).message });
    }
  }

  /** Have the bot sum up and say goodbye. */
  windUp(): void {
    this.client?.sendClientMessage("action", { action: "end_conversation", arguments: {} });
  }

  /** Leave at once. */
  async hangUp(): Promise<void> {
    this.started++;
    this.microphone.giveUp();
    this.store.dispatch({ what: "left", reason: "hung_up" });
    // Told so, the bot greets in the next call; after a lost connection it would not.
    if (this.client?.state === "ready") this.client.disconnectBot();
    await this.leave();
  }

  mute(muted: boolean): void {
    this.client?.enableMic(!muted);
    this.store.dispatch({ what: "muted", muted });
  }

  /** Listen to another device, from now on. */
  async chooseMicrophone(deviceId: string): Promise<void> {
    if (this.store.state.microphone !== "off") await this.microphone.updateMic(deviceId);
  }

  private connectable(): ObservedClient {
    const transport = new ObservedTransport({ mediaManager: this.microphone });
    const client = new ObservedClient({
      transport,
      callbacks: {
        onTrackStarted: (track, participant) => {
          if (track.kind === "audio" && !participant?.local) this.speaker.play(track);
        },
        onDisconnected: () => {
          if (this.client !== client) return;
          this.speaker.stop();
          this.store.dispatch({ what: "left", reason: "lost" });
        },
      },
    });
    const show = (out: boolean, { type, data }: RTVIMessage): void =>
      this.store.dispatch({ what: "message", out, type, data: concealed(data), at: Date.now() });
    transport.onSent = (message) => show(true, message);
    client.onTraffic = show;
    this.client = client;
    return client;
  }

  private async reach(client: ObservedClient): Promise<void> {
    const request: APIRequest = {
      endpoint: new URL("/start", location.href).href,
      requestData: { transport: "webrtc", body: {} },
    };
    const connected = new Promise<void>((resolve) => {
      client.once("connected", () => {
        this.store.dispatch({ what: "phase", phase: "waiting" });
        resolve();
      });
    });
    const ready = client.startBotAndConnect(request);
    await within(CONNECT_MS, "connect_timeout", Promise.race([connected, ready]));
    await within(BOT_READY_MS, "bot_not_ready", ready);
  }

  private async leave(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    this.speaker.stop();
    await client?.disconnect().catch(() => undefined);
    await this.microphone.disconnect();
  }
}

/** A copy for the log, from which nobody can take a token. */
function concealed(data: unknown): unknown {
  if (data === undefined) return undefined;
  return JSON.parse(
    JSON.stringify(data, (name, value) => (name === "access_token" && value ? "…" : value)),
  );
}

/** A failure that the page itself notices. */
class PageProblem extends Error {
  constructor(readonly code: string) {
    super(code);
  }
}

async function within<Result>(
  ms: number,
  code: string,
  promise: Promise<Result>,
): Promise<Result> {
  let timer = 0;
  const late = new Promise<never>((_, reject) => {
    timer = window.setTimeout(() => reject(new PageProblem(code)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function problemOf(error: unknown): Problem {
  if (error instanceof PageProblem) return { code: error.code, message: "" };
  // An error-response of the bot's, or none within Pipecat's time.
  const data = (error as { data?: { code?: string; message?: string; error?: string } }).data;
  if (data) return { code: data.code ?? "unanswered", message: data.message ?? data.error ?? "" };
  return { code: "connect_failed", message: error instanceof Error ? error.message : "" };
}
