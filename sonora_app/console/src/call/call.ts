import { type APIRequest, PipecatClient, RTVIMessage, StartBotError } from "@pipecat-ai/client-js";
import { SmallWebRTCTransport } from "@pipecat-ai/small-webrtc-transport";
import { api } from "../api";
import type { CallState, Problem } from "../state/model";
import type { Happened } from "../state/reduce";
import type { Store } from "../state/store";
import { Camera } from "./camera";
import { ask, sendInParts } from "./files";
import type { Language } from "./protocol";
import { Microphone } from "./microphone";
import { Speaker } from "./speaker";

/** How long connecting may take, in milliseconds. */
const CONNECT_MS = 15_000;
/** How long the bot may take to be ready once connected. A bot that crashes never is. */
const BOT_READY_MS = 12_000;
/** A network that is gone, or a bot that is started again, is mostly back within that. One is put
 * back where one was for longer: SONORA_RETURN_SECS. */
const RECONNECT_MS = 120_000;
const LONGEST_PAUSE_MS = 5_000;
/** What may be otherwise in a moment, while the connection is lost. */
const PASSING = [
  ...["connect_failed", "connect_timeout", "start_refused", "bot_not_ready"],
  ...["unanswered", "at_capacity"],
];
/** How often one looks whether the bot still runs, in milliseconds. One that dies without a word is
 * missed by WebRTC after some 20 s. */
const ALIVE_MS = 1_000;
/** After how many looks in a row that found nobody the bot is taken for dead. */
const MISSED = 2;
/** Under which this tab remembers, over a reload, the conversation that it talks in. */
const TALKS_IN = "sonora.talks-in";

/** Whose conversation a call is to open, and how. */
export interface CallOptions {
  conversationId: string | null;
  userId: string | null;
  /** What proves who calls, where the bot asks for it. It is sent, and kept nowhere. */
  accessToken: string | null;
  language: Language | null;
  microphoneId: string;
  withMicrophone: boolean;
  /** Whether the person agrees to have the call's sound kept; null: they have not said. */
  recording: boolean | null;
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
  readonly camera = new Camera();
  private client: ObservedClient | undefined;
  private started = 0;
  private options: CallOptions | undefined;

  constructor(private readonly store: Store<CallState, Happened>) {
    store.watch(() => {
      const { phase, conversationId } = store.state;
      if (phase === "live") remember(conversationId);
      if (phase === "ended" || phase === "failed") remember(null);
    });
  }

  /** The conversation that this tab was talking in when it was reloaded; null is none. */
  static brokenOff(): string | null {
    try {
      return sessionStorage.getItem(TALKS_IN);
    } catch {
      return null;
    }
  }

  /** Connect, open the conversation, and talk. Every failure is told to the store. */
  async start(options: CallOptions): Promise<void> {
    const run = ++this.started;
    this.options = options;
    this.store.dispatch({ what: "started", conversationId: options.conversationId });
    try {
      await this.connect(run, options);
    } catch (error) {
      if (run === this.started) await this.fail(problemOf(error));
    }
  }

  /** Say something in writing. */
  async type(text: string): Promise<void> {
    const key = this.store.state.nextKey;
    this.store.dispatch({ what: "typed", key, text });
    try {
      if (this.client) await ask(this.client, "user_text_message", { text });
    } catch (error) {
      this.store.dispatch({ what: "refused", key, reason: problemOf(error).message });
    }
  }

  /** Show pictures or documents, with a text or without. */
  async show(text: string, files: File[]): Promise<void> {
    const key = this.store.state.nextKey;
    const shown = files.map((file) => ({
      key: crypto.randomUUID(),
      name: file.name,
      url: file.type.startsWith("image/") ? URL.createObjectURL(file) : null,
    }));
    this.store.dispatch({ what: "typed", key, text, files: shown });
    const client = this.client;
    if (!client) return;
    try {
      const sent: string[] = [];
      for (const file of files) sent.push(await sendInParts(client, file));
      await ask(client, "user_multimodal_message", {
        text,
        files: sent,
        names: files.map((file) => file.name),
      });
    } catch (error) {
      this.store.dispatch({ what: "refused", key, reason: problemOf(error).message });
    }
  }

  /** Let the bot look through the camera, or not any more. */
  async useCamera(on: boolean): Promise<void> {
    const client = this.client;
    if (!client) return;
    const { dispatch } = this.store;
    try {
      if (!on) this.camera.close();
      else if (!(await this.camera.open(() => void this.useCamera(false)))) return;
    } catch {
      this.camera.close();
      dispatch({ what: "camera", camera: "blocked" });
      return;
    }
    dispatch({ what: "camera", camera: on ? "on" : "off" });
    try {
      await ask(client, "camera", { on });
    } catch {
      // A bot that does not know of it never asks for a frame.
      if (on && client === this.client) void this.useCamera(false);
    }
  }

  /** Send what the camera sees now, and show the person that it was sent. */
  private async giveFrame(client: ObservedClient, id: string): Promise<void> {
    const frame = await this.camera.frame();
    if (!frame || client !== this.client) return;
    const key = this.store.state.nextKey;
    const shown = { key: id, name: "camera.jpg", url: URL.createObjectURL(frame) };
    this.store.dispatch({ what: "typed", key, text: "", files: [shown] });
    try {
      const file = await sendInParts(client, frame);
      await ask(client, "camera_frame", { id, file });
    } catch (error) {
      this.store.dispatch({ what: "refused", key, reason: problemOf(error).message });
    }
  }

  /** Have the call's sound kept; or no longer, and what was recorded of the talk erased. */
  async record(recording: boolean): Promise<void> {
    const client = this.client;
    if (!client || !this.options) return;
    // Also where the connection is lost before it is answered.
    if (!recording) this.options = { ...this.options, recording };
    try {
      await ask(client, "set_recording", { recording });
      this.options = { ...this.options, recording };
    } catch (error) {
      this.store.dispatch({ what: "noticed", problem: problemOf(error) });
    }
  }

  /** Have the bot sum up and say goodbye. */
  windUp(): void {
    this.client?.sendClientMessage("action", { action: "end_conversation", arguments: {} });
  }

  /** The page is left, perhaps to be loaded anew: then one can go on with the talk. */
  async letGo(): Promise<void> {
    this.started++;
    this.microphone.giveUp();
    await this.leave();
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
          this.camera.close();
          this.lost();
        },
      },
    });
    const show = (out: boolean, { type, data }: RTVIMessage): void =>
      this.store.dispatch({ what: "message", out, type, data: concealed(data), at: Date.now() });
    transport.onSent = (message) => show(true, message);
    client.onTraffic = (out, message) => {
      show(out, message);
      const data = message.data as
        | { event?: string; id?: string; on?: boolean; language?: Language }
        | undefined;
      if (message.type === "server-message" && data?.event === "frame-wanted" && data.id) {
        void this.giveFrame(client, data.id);
      }
      // Whoever takes it back by voice is not recorded after a lost connection either.
      if (data?.event === "recording" && !data.on && this.options) {
        this.options = { ...this.options, recording: false };
      }
      // Nor does the bot speak another language then than before it.
      if (data?.event === "language-changed" && data.language && this.options) {
        this.options = { ...this.options, language: data.language };
      }
    };
    this.client = client;
    return client;
  }

  private async connect(run: number, options: CallOptions): Promise<void> {
    const { dispatch } = this.store;
    const back = this.store.state.phase === "reconnecting";
    const muted = this.store.state.microphone === "muted";
    const problem = await this.microphone.open(options.microphoneId, options.withMicrophone);
    if (run !== this.started) return;
    dispatch({ what: "microphone", problem });
    if (muted && !problem) {
      await this.microphone.enableMic(false);
      dispatch({ what: "muted", muted });
    }
    if (!back) dispatch({ what: "phase", phase: "connecting" });
    const asked = {
      conversation_id: options.conversationId,
      user_id: options.userId,
      access_token: options.accessToken,
      language: options.language,
      recording: options.recording,
    };
    const client = this.connectable();
    // Who comes back is let in though all lines are busy.
    await this.reach(client, back ? asked : {});
    const ready = await ask(client, "set_conversation_id", asked);
    dispatch({
      what: "opened",
      conversationId: ready.conversation_id,
      sessionId: ready.session_id,
      resumed: ready.resumed,
      putBack: ready.put_back,
      recording: ready.recording,
      language: ready.language,
    });
    void this.watch(client);
  }

  /** Notice, during a call, that the bot's process is gone. */
  private async watch(client: ObservedClient): Promise<void> {
    let missed = 0;
    while (missed < MISSED) {
      await new Promise((resolve) => setTimeout(resolve, ALIVE_MS));
      if (client !== this.client) return;
      missed = (await api.answers()) ? 0 : missed + 1;
    }
    if (client === this.client) this.lost();
  }

  /** The connection is gone. */
  private lost(): void {
    const { phase, ended } = this.store.state;
    if (phase === "reconnecting") return; // then connecting fails, and is tried again
    // A bot that was stopped hands the talk over to another process.
    if (phase === "live" && (!ended || ended.reason === "shutdown")) void this.comeBack();
    else this.store.dispatch({ what: "left", reason: "lost" });
  }

  /** Go on with the conversation, as soon as there is a connection again. */
  private async comeBack(): Promise<void> {
    const run = ++this.started;
    const lostAt = Date.now();
    const { conversationId } = this.store.state;
    for (let attempt = 0; this.options; attempt += 1) {
      this.store.dispatch({ what: "reconnecting" });
      await this.leave();
      await new Promise((resolve) => setTimeout(resolve, Math.min(attempt * 1_000, LONGEST_PAUSE_MS)));
      if (run !== this.started) return;
      try {
        await this.connect(run, { ...this.options, conversationId });
        return;
      } catch (error) {
        if (run !== this.started) return;
        const problem = problemOf(error);
        if (PASSING.includes(problem.code) && Date.now() - lostAt < RECONNECT_MS) continue;
        await this.fail(PASSING.includes(problem.code) ? { code: "lost", message: "" } : problem);
        return;
      }
    }
  }

  private async fail(problem: Problem): Promise<void> {
    this.store.dispatch({ what: "failed", problem });
    await this.leave();
  }

  private async reach(
    client: ObservedClient,
    body: Record<string, string | boolean | null>,
  ): Promise<void> {
    const request: APIRequest = {
      endpoint: new URL("/start", location.href).href,
      headers: new Headers({ "Accept-Language": document.documentElement.lang }),
      requestData: { transport: "webrtc", body },
    };
    const connected = new Promise<void>((resolve) => {
      client.once("connected", () => {
        if (this.store.state.phase === "connecting") {
          this.store.dispatch({ what: "phase", phase: "waiting" });
        }
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
    this.camera.close();
    await client?.disconnect().catch(() => undefined);
    await this.microphone.disconnect();
  }
}

function remember(conversationId: string | null): void {
  try {
    if (conversationId) sessionStorage.setItem(TALKS_IN, conversationId);
    else sessionStorage.removeItem(TALKS_IN);
  } catch {
    // A browser that keeps nothing does not offer to go on.
  }
}

/** Longer than anything in a message but a piece of a file. */
const LOGGED_CHARS = 8_000;

/** A copy for the log, from which nobody can take a token, and which no file fills. */
function concealed(data: unknown): unknown {
  if (data === undefined) return undefined;
  return JSON.parse(
    JSON.stringify(data, (name, value) => {
      if (name === "access_token" && value) return "…";
      const long = typeof value === "string" && value.length > LOGGED_CHARS;
      return long ? `${value.slice(0, 40)}… (${value.length})` : value;
    }),
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
  if (error instanceof StartBotError) {
    // The bot's words where it answered. Without an answer Pipecat says 500, and the browser why, in
    // its own language.
    if (error.status && error.status !== 500) return { code: "start_refused", message: error.message };
    return { code: "connect_failed", message: "" };
  }
  return { code: "connect_failed", message: error instanceof Error ? error.message : "" };
}
