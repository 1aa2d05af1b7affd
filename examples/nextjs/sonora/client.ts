/** Pipecat's client, with two of the bot's messages that its version 1.13 hands on to nobody. */

import { PipecatClient, type RTVIMessage } from "@pipecat-ai/client-js";

/** What the user said or typed, or murmured while the bot spoke. */
export interface UserInput {
  readonly text: string;
  readonly input_type: "transcription" | "chat" | "backchannel";
  /** Whether the text stays as it is. */
  readonly final: boolean;
}

/**
 * `user-input` takes the place of `user-transcription`, which Pipecat 2.0 sends no more.
 * `bot-interrupted` says that what the bot has not said yet will not be said.
 */
export class SonoraClient extends PipecatClient {
  onUserInput: (input: UserInput) => void = () => undefined;
  onBotInterrupted: () => void = () => undefined;

  protected override handleMessage(message: RTVIMessage): void {
    super.handleMessage(message);
    if (message.type === "user-input") this.onUserInput(message.data as UserInput);
    if (message.type === "bot-interrupted") this.onBotInterrupted();
  }
}
