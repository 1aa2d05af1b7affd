/** One conversation with Sonora, over any number of calls: the logic of a page, without the page. */

import { RTVIEvent, type RTVIEventHandler, type RTVIMessage } from "@pipecat-ai/client-js";

import { Camera } from "./camera";
import type { SonoraClient } from "./client";
import { asCallError, CallError, type CallErrorCode } from "./errors";
import { MAX_FILE_BYTES, sendInParts } from "./files";
import { withKept, withListed, withoutEnded, type Memory } from "./memory";
import type {
  Actions,
  ConversationEnded,
  Language,
  Notice,
  Ready,
  SetConversationId,
  SonoraEvent,
  StorageState,
} from "./protocol";
import {
  withBotOutput,
  withHistory,
  withInterruption,
  withLanguage,
  withTyped,
  withUserInput,
  type KeptMessage,
  type Lines,
} from "./transcript";

/** A new instance loads the bot before it answers: that is the longest part of a first call. */
const READY_MS = 45_000;
const ANSWER_MS = 10_000;
const ATTEMPTS = 3;
/** A network that is gone is mostly back within that. The bot waits longer: SONORA_RETURN_SECS. */
const RECONNECT_MS = 60_000;
const LONGEST_PAUSE_MS = 5_000;

/** What a call needs of Pipecat's client. `fake-call.ts` has one without a bot. */
export interface CallClient
  extends Pick<
    SonoraClient,
    | "state"
    | "initDevices"
    | "connect"
    | "disconnect"
    | "disconnectBot"
    | "sendClientRequest"
    | "enableMic"
    | "onUserInput"
    | "onBotInterrupted"
  > {
  on<Event extends RTVIEvent>(event: Event, handler: RTVIEventHandler<Event>): unknown;
}

/** What a start request says of the call. */
export type Wish = Required<Pick<SetConversationId, "conversation_id" | "language" | "recording">>;

export interface CallOptions {
  /** Has a bot started for the call; gives what the client's transport connects with. */
  start: (conversation: Wish) => Promise<unknown>;
  /** The user's Supabase access token; a new one if `fresh`. Null where none is asked for. */
  accessToken: (fresh: boolean) => Promise<string | null>;
  /** What was said earlier in a conversation, the oldest first. */
  history?: (conversationId: string) => Promise<readonly KeptMessage[]>;
  language?: Language;
}

export type Phase =
  | "idle"
  | "starting" // asking for the microphone and for a bot
  | "connecting" // on the way to the bot, and until it is ready
  | "opening" // saying whose conversation this is
  | "open"
  | "reconnecting" // the connection was lost; the next attempt follows
  | "ended"
  | "failed"; // `problem` says why

export interface CallState {
  readonly phase: Phase;
  readonly conversationId: string | null;
  readonly resumed: boolean;
  /** Whether the talk goes on where it broke off, without a greeting. */
  readonly putBack: boolean;
  /** Where the flow is: a node of flows/sonora.yaml. */
  readonly node: string | null;
  readonly lines: Lines;
  /** Whether the microphone is muted, by the user's wish. */
  readonly muted: boolean;
  readonly userSpeaks: boolean;
  readonly botSpeaks: boolean;
  /** Whether the call's sound is being kept. */
  readonly recording: boolean;
  /** What is spoken; null until the bot tells. */
  readonly language: Language | null;
  /** What is remembered of the user; null while nobody has asked. */
  readonly memory: Memory | null;
  /** Whether the bot may look through the camera; `blocked` where the browser gives none. */
  readonly camera: "off" | "on" | "blocked";
  readonly storage: StorageState["state"];
  readonly notice: Notice | null;
  readonly end: ConversationEnded | null;
  readonly problem: CallError | null;
}

const IDLE: CallState = {
  phase: "idle",
  conversationId: null,
  resumed: false,
  putBack: false,
  node: null,
  lines: [],
  muted: false,
  userSpeaks: false,
  botSpeaks: false,
  recording: false,
  language: null,
  memory: null,
  camera: "off",
  storage: "ok",
  notice: null,
  end: null,
  problem: null,
};

export class SonoraCall {
  readonly camera = new Camera();
  #state = IDLE;
  #listeners = new Set<() => void>();
  #calls = 0;
  #recording: boolean | null = null;
  /** Aborted, with the reason, when the present connection is gone. */
  #connection = new AbortController();

  constructor(
    private readonly client: CallClient,
    private readonly options: CallOptions,
  ) {
    client.on(RTVIEvent.ServerMessage, (message: SonoraEvent) => this.#onEvent(message));
    client.onUserInput = (data) =>
      this.#update({ lines: withUserInput(this.#state.lines, data, this.#state.language) });
    client.onBotInterrupted = () => this.#update({ lines: withInterruption(this.#state.lines) });
    client.on(RTVIEvent.UserStartedSpeaking, () => this.#update({ userSpeaks: true }));
    client.on(RTVIEvent.UserStoppedSpeaking, () => this.#update({ userSpeaks: false }));
    client.on(RTVIEvent.BotStartedSpeaking, () => this.#update({ botSpeaks: true }));
    client.on(RTVIEvent.BotStoppedSpeaking, () => this.#update({ botSpeaks: false }));
    client.on(RTVIEvent.BotOutput, (data) =>
      this.#update({
        lines: withBotOutput(this.#state.lines, data, this.#calls, this.#state.language),
      }),
    );
    client.on(RTVIEvent.Disconnected, () => this.#onGone());
    client.on(RTVIEvent.Error, (message: RTVIMessage) => {
      if ((message.data as { fatal?: boolean } | null)?.fatal) this.#onGone();
    });
  }

  // Both are arrow functions, to be handed to React's useSyncExternalStore.
  readonly state = (): CallState => this.#state;
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /**
   * Start a call: a new conversation, or one to go on with.
   *
   * `recording` says whether the user agrees to have its sound kept; null: they were not asked.
   *
   * Throws a CallError; the same is then in the state.
   */
  async start(
    conversationId: string | null = null,
    { recording = null }: { recording?: boolean | null } = {},
  ): Promise<Ready> {
    this.#recording = recording;
    const goesOn = conversationId !== null && conversationId === this.#state.conversationId;
    this.#update({ ...IDLE, conversationId, lines: goesOn ? this.#state.lines : [] });
    if (conversationId !== null && !goesOn) void this.#showHistory(conversationId);
    try {
      return await this.#connect();
    } catch (thrown) {
      throw this.#failed(thrown);
    }
  }

  /** Have the bot hear nothing, or hear the user again. */
  mute(muted: boolean): void {
    this.client.enableMic(!muted);
    this.#update({ muted });
  }

  /** Send what the user typed. The answer is spoken, or with `audioResponse` false only written. */
  async sendText(text: string, { audioResponse = true } = {}): Promise<void> {
    await this.#request("user_text_message", { text, audio_response: audioResponse });
    this.#update({ lines: withTyped(this.#state.lines, text, this.#state.language) });
  }

  /** Show pictures or documents, with what the user says of them. Without a text, send "". */
  async sendFiles(text: string, files: readonly File[]): Promise<void> {
    const tooLarge = files.find((file) => file.size > MAX_FILE_BYTES);
    if (tooLarge) throw new CallError("file_too_large", `${tooLarge.name} is too large.`);
    const ids: string[] = [];
    for (const file of files) {
      ids.push(await sendInParts(file, (part) => this.#request("file_part", part)));
    }
    const names = files.map((file) => file.name);
    await this.#request("user_multimodal_message", { text, files: ids, names });
    const shown = [text, ...names].filter(Boolean).join(" · ");
    this.#update({ lines: withTyped(this.#state.lines, shown, this.#state.language) });
  }

  /** Let the bot look through the camera when it is asked to, or not any more. */
  async useCamera(on: boolean): Promise<void> {
    try {
      if (!on) this.camera.close();
      else if (!(await this.camera.open(() => void this.useCamera(false)))) return;
    } catch {
      this.camera.close();
      this.#update({ camera: "blocked" });
      return;
    }
    this.#update({ camera: on ? "on" : "off" });
    try {
      await this.#request("camera", { on });
    } catch (thrown) {
      this.#closeCamera();
      if (on) throw thrown;
    }
  }

  /** Agree to have the call's sound kept. Or take that back: then what was recorded is erased. */
  async setRecording(recording: boolean): Promise<void> {
    // Also where the connection is lost before it is answered.
    if (!recording) this.#recording = false;
    await this.#request("set_recording", { recording });
    this.#recording = recording;
  }

  /** Have in the state what is remembered of the user: the latest, and what comes and goes. */
  async listMemories(): Promise<void> {
    const answer = await this.#request("list_memories", {});
    this.#update({ memory: withListed(null, answer) });
  }

  /** Go on from what is in the state, where there is `more`. */
  async listMoreMemories(): Promise<void> {
    const { memory } = this.#state;
    const answer = await this.#request("list_memories", { skip: memory?.facts.length ?? 0 });
    this.#update({ memory: withListed(memory, answer) });
  }

  /** Put another sentence in the place of one that is wrong. An event tells when it is done. */
  async correctMemory(id: string, content: string): Promise<void> {
    await this.#request("correct_memory", { id, content });
  }

  /** Have something forgotten, for good. An event tells when it is done. */
  async forgetMemory(id: string): Promise<void> {
    await this.#request("forget_memory", { id });
  }

  /** Say whether the user wants to be remembered. */
  async setMemory(remembers: boolean): Promise<void> {
    await this.#request("set_memory", { remembers });
    await this.listMemories();
  }

  /** Ask the bot to wind up: it sums up and says goodbye, and then ends the call itself. */
  async end(): Promise<void> {
    await this.#request("end_conversation", {});
  }

  /** Hang up at once. */
  async hangUp(): Promise<void> {
    if (["idle", "ended", "failed"].includes(this.#state.phase)) return;
    this.#connection.abort(new CallError("hung_up", "You hung up."));
    this.#closeCamera();
    this.#update({ phase: "ended" });
    // Told so, the bot greets in the next call; after a lost connection it would not.
    if (this.client.state === "ready") this.client.disconnectBot();
    await this.client.disconnect();
  }

  /** What to speak: after a lost connection what was spoken, for the user may have changed it. */
  get #language(): Language | null {
    return this.#state.language ?? this.options.language ?? null;
  }

  async #connect(): Promise<Ready> {
    const connection = (this.#connection = new AbortController());
    this.#calls += 1;
    this.#update({ phase: "starting", problem: null, notice: null, node: null });
    // Without a microphone one can still type; `client.mediaState` tells why there is none.
    await this.client.initDevices().catch(() => undefined);
    const { conversationId } = this.#state;
    const wish = {
      conversation_id: conversationId,
      language: this.#language,
      recording: this.#recording,
    };
    const found = await this.options.start(wish).catch((thrown: unknown) => {
      throw asCallError(thrown, "start_failed");
    });
    connection.signal.throwIfAborted();
    this.#update({ phase: "connecting" });
    // `connect` of its own never gives up on a bot that does not get ready.
    await this.#unlessGone(this.client.connect(found), READY_MS, "bot_not_ready");
    if (this.#state.muted) this.client.enableMic(false);
    this.#update({ phase: "opening" });
    const ready = await this.#open();
    this.#update({
      phase: "open",
      conversationId: ready.conversation_id,
      resumed: ready.resumed,
      putBack: ready.put_back,
      node: ready.node,
      recording: ready.recording,
      language: ready.language,
      notice: null, // of what went wrong before
    });
    return ready;
  }

  /** Put what was said earlier before what is said now. A call without it is a call all the same. */
  async #showHistory(conversationId: string): Promise<void> {
    const messages = await this.options.history?.(conversationId).catch(() => undefined);
    if (!messages || conversationId !== this.#state.conversationId) return;
    this.#update({ lines: withHistory(this.#state.lines, messages) });
  }

  /** Say whose conversation this is. Sent again it is answered the same, so it may be repeated. */
  async #open(): Promise<Ready> {
    let fresh = false;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#request("set_conversation_id", {
          conversation_id: this.#state.conversationId,
          access_token: await this.options.accessToken(fresh),
          language: this.#language,
          recording: this.#recording,
        });
      } catch (thrown) {
        const problem = asCallError(thrown, "internal");
        fresh = problem.code === "token_refused";
        if (attempt === ATTEMPTS || !(fresh || problem.remedy === "retry")) throw problem;
        await pause(attempt * 1_000);
      }
    }
  }

  async #request<Name extends keyof Actions>(
    action: Name,
    args: Actions[Name]["arguments"],
  ): Promise<Actions[Name]["answer"]> {
    const answer = this.#answered(action, args);
    return (await this.#unlessGone(answer, ANSWER_MS, "no_answer")) as Actions[Name]["answer"];
  }

  async #answered(action: string, args: unknown): Promise<unknown> {
    if (this.client.state !== "ready") throw new CallError("not_ready", "There is no call yet.");
    try {
      return await this.client.sendClientRequest("action", { action, arguments: args }, ANSWER_MS);
    } catch (thrown) {
      throw asCallError(thrown, "no_answer");
    }
  }

  /** What `work` gives, unless it takes too long or the connection goes, of which it need not hear. */
  #unlessGone<T>(work: Promise<T>, limitMs: number, late: CallErrorCode): Promise<T> {
    const gone = this.#connection.signal;
    return new Promise((resolve, reject) => {
      const over = () => reject(gone.aborted ? gone.reason : new CallError(late, late));
      if (gone.aborted) over();
      AbortSignal.any([gone, AbortSignal.timeout(limitMs)]).addEventListener("abort", over);
      work.then(resolve, reject);
    });
  }

  #onGone(): void {
    const wasOpen = this.#state.phase === "open";
    this.#closeCamera();
    const lines = withInterruption(this.#state.lines);
    this.#update({ lines, userSpeaks: false, botSpeaks: false });
    this.#connection.abort(new CallError("call_dropped", "The connection was lost."));
    if (!wasOpen) return; // still connecting, which fails now, or ended
    // A bot that was stopped hands the talk over to another process. One that was taken over by
    // another tab does not come back: the two would take it from each other for ever.
    if (this.#state.end && this.#state.end.reason !== "shutdown") this.#update({ phase: "ended" });
    else void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    const lostAt = Date.now();
    for (let attempt = 1; ; attempt += 1) {
      this.#update({ phase: "reconnecting", end: null });
      await this.client.disconnect().catch(() => undefined);
      await pause(Math.min((attempt - 1) * 1_000, LONGEST_PAUSE_MS));
      if (this.#state.phase !== "reconnecting") return; // hung up, or started anew, meanwhile
      try {
        await this.#connect();
        return;
      } catch (thrown) {
        const problem = asCallError(thrown, "internal");
        const again = problem.remedy === "call_again" || problem.remedy === "retry";
        if (again && Date.now() - lostAt < RECONNECT_MS) continue;
        this.#failed(problem);
        return;
      }
    }
  }

  #closeCamera(): void {
    this.camera.close();
    this.#update({ camera: "off" });
  }

  /** Send what the camera sees now. The bot waits 5 s for it, and says else that it sees nothing. */
  async #giveFrame(id: string): Promise<void> {
    const frame = await this.camera.frame();
    if (!frame) return;
    const file = await sendInParts(frame, (part) => this.#request("file_part", part));
    await this.#request("camera_frame", { id, file });
  }

  #failed(thrown: unknown): CallError {
    const problem = asCallError(thrown, "internal");
    if (problem.code !== "hung_up") this.#update({ phase: "failed", problem });
    this.client.disconnect().catch(() => undefined); // what fails there was gone already
    return problem;
  }

  #onEvent(message: SonoraEvent): void {
    if (message.type !== "sonora") return;
    switch (message.event) {
      case "node-changed":
        return this.#update({ node: message.node });
      case "conversation-opened":
        return this.#update({
          conversationId: message.conversation_id,
          resumed: message.resumed,
          putBack: message.put_back,
          language: message.language,
        });
      case "language-changed":
        return this.#update({
          language: message.language,
          lines: withLanguage(this.#state.lines, message.language),
        });
      case "recording":
        // Whoever takes it back by voice is not recorded after a lost connection either.
        if (!message.on) this.#recording = false;
        return this.#update({ recording: message.on });
      case "storage":
        return this.#update({ storage: message.state });
      case "notice":
        return this.#update({ notice: message });
      case "memory-kept":
        return this.#update({ memory: this.#state.memory && withKept(this.#state.memory, message) });
      case "memory-ended":
        return this.#update({
          memory: this.#state.memory && withoutEnded(this.#state.memory, message),
        });
      case "conversation-ended":
        return this.#update({ end: message });
      case "frame-wanted":
        return void this.#giveFrame(message.id).catch(() => undefined);
      case "message-recorded":
      case "message-stored":
      case "history-loaded":
      case "turn-latency":
      case "sources":
      case "tool-call":
        return; // this page does not show them
      default:
        message satisfies never; // an event that is missing above does not compile
    }
  }

  #update(change: Partial<CallState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
