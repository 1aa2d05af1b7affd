/** A call without a bot, for the tests of your own page: the same SonoraCall, played by hand. */

import type { BotOutputData, RTVIEvent, RTVIEventHandler, TransportState } from "@pipecat-ai/client-js";

import { SonoraCall, type CallClient, type CallOptions } from "./call";
import type { UserInput } from "./client";
import type { Actions, ErrorCode, SonoraEvent } from "./protocol";

type Answers = { [Name in keyof Actions]: Actions[Name]["answer"] };

/** What the page asked for. */
export type Asked = {
  [Name in keyof Actions]: { action: Name; arguments: Actions[Name]["arguments"] };
}[keyof Actions];

const CONVERSATION = "01900000-0000-7000-8000-000000000001";

const ANSWERS: Partial<Answers> = {
  set_conversation_id: {
    status: "ready",
    conversation_id: CONVERSATION,
    session_id: "01900000-0000-7000-8000-000000000002",
    resumed: false,
    history: "loaded",
    put_back: false,
    node: "greeting",
    recording: false,
    language: "es",
  },
  user_image: { status: "shown", files: [] },
  user_multimodal_message: { status: "shown", files: [] },
  user_file_message: { status: "shown", files: [] },
  list_memories: { status: "memories", memories: [], more: false, remembers: null, keeps: true },
};

/** Stands in for the bot and for the way to it. It does nothing but what it is told to. */
export class FakeBot implements CallClient {
  state: TransportState = "disconnected";
  /** What the page asked for, in order. */
  readonly asked: Asked[] = [];
  /** What it answers otherwise than it would. */
  readonly answers: Partial<Answers> = {};
  /** Whether the page sends the user's voice. */
  hears = true;
  onUserInput: (input: UserInput) => void = () => undefined;
  onBotInterrupted: () => void = () => undefined;
  #handlers = new Map<RTVIEvent, ((...told: never[]) => void)[]>();
  #refusals = new Map<string, { code: ErrorCode; message: string }>();
  #sentences = 0;

  // --- What the bot does

  /** Begins a sentence, of which `heard` has been heard so far; without it, all of it. */
  says(text: string, heard?: string): number {
    this.#sentences += 1;
    this.goesOn(this.#sentences, text, heard);
    return this.#sentences;
  }

  /** Goes on with a sentence, by the number that `says` gave. */
  goesOn(sentence: number, text: string, heard?: string): void {
    const spoken: Partial<BotOutputData> =
      heard === undefined
        ? { spoken_status: "completed" }
        : {
            spoken_status: heard ? "in-progress" : "new",
            spoken_progress: { accumulated_text: heard, remaining_text: text.slice(heard.length) },
          };
    this.#emit("botOutput", { text, segment_id: sentence, will_be_spoken: true, ...spoken });
  }

  /** Understood the user so, for now or for good. */
  understands(text: string, final = true): void {
    this.onUserInput({ text, input_type: "transcription", final });
  }

  /** Was cut off by the user. */
  isCutOff(): void {
    this.onBotInterrupted();
  }

  /** Begins or stops speaking, or notices that the user does. */
  notices(what: "userStartedSpeaking" | "userStoppedSpeaking" | "botStartedSpeaking" | "botStoppedSpeaking"): void {
    this.#emit(what);
  }

  /** Tells the page of something. */
  tells(event: SonoraEvent): void {
    this.#emit("serverMessage", event);
  }

  /** Refuses an action from here on. */
  refuses(action: keyof Actions, code: ErrorCode, message: string): void {
    this.#refusals.set(action, { code, message });
  }

  /** Is gone: it hung up, or the network is lost. */
  leaves(): void {
    this.state = "disconnected";
    this.#emit("disconnected");
  }

  // --- What a call needs of a client

  on<Event extends RTVIEvent>(event: Event, handler: RTVIEventHandler<Event>): this {
    const known = this.#handlers.get(event) ?? [];
    this.#handlers.set(event, [...known, handler as (...told: never[]) => void]);
    return this;
  }

  async initDevices(): Promise<void> {}

  async connect(): ReturnType<CallClient["connect"]> {
    this.state = "ready";
    return { version: "2.0.0" };
  }

  async disconnect(): Promise<void> {
    if (this.state !== "disconnected") this.leaves();
  }

  disconnectBot(): void {}

  enableMic(enable: boolean): void {
    this.hears = enable;
  }

  async sendClientRequest(_: string, data: unknown): Promise<unknown> {
    const asked = data as Asked;
    this.asked.push(asked);
    const refusal = this.#refusals.get(asked.action);
    if (refusal) throw { data: { ...refusal, error: refusal.message } };
    return this.answers[asked.action] ?? ANSWERS[asked.action] ?? { status: "accepted" };
  }

  #emit(event: `${RTVIEvent}`, ...told: unknown[]): void {
    for (const handler of this.#handlers.get(event as RTVIEvent) ?? []) {
      (handler as (...told: unknown[]) => void)(...told);
    }
  }
}

/** A call, and the bot that it is with. */
export function fakeCall(options: Partial<CallOptions> = {}): { call: SonoraCall; bot: FakeBot } {
  const bot = new FakeBot();
  const call = new SonoraCall(bot, {
    start: () => Promise.resolve({}),
    accessToken: () => Promise.resolve(null),
    ...options,
  });
  return { call, bot };
}
