/** What can go wrong in a call, by code, and what helps. */

import type { ErrorCode } from "./protocol";

/** The bot's codes, and those of the way to it. */
export type CallErrorCode =
  | ErrorCode
  | "signed_out" // the site's own route knows no user
  | "start_failed" // Pipecat Cloud did not start the bot
  | "bot_not_ready" // it was started, and did not get ready in time
  | "no_answer" // it did not answer a message in time
  | "call_dropped" // the connection is gone
  | "hung_up"; // by the page itself

export type Remedy =
  | "retry" // the same again may pass
  | "call_again" // hang up and start another call, with the same conversation
  | "new_conversation" // start another call, without a conversation's id
  | "sign_in" // get a session, or a fresh token
  | "wait" // nothing: the moment is wrong
  | "other_file" // another picture or document, or a smaller one
  | "report"; // a mistake of the page's or of the bot's

/** Complete: the compiler refuses a code that is missing here. */
const REMEDIES: Record<CallErrorCode, Remedy> = {
  storage_unavailable: "retry",
  identity_unavailable: "retry",
  no_answer: "retry",
  at_capacity: "retry",

  bot_not_ready: "call_again",
  call_dropped: "call_again",
  start_failed: "call_again",
  too_many_attempts: "call_again",
  already_open: "call_again",

  conversation_refused: "new_conversation",
  not_found: "new_conversation",

  signed_out: "sign_in",
  user_required: "sign_in",
  token_required: "sign_in",
  token_refused: "sign_in",
  memory_unavailable: "sign_in",

  not_ready: "wait",
  out_of_turn: "wait",
  conversation_ending: "wait",
  model_unavailable: "wait",
  voice_unavailable: "wait",
  hearing_unavailable: "wait",
  hearing_restored: "wait",
  speech_dropped: "wait",
  hung_up: "wait",
  too_many_files: "wait",
  recording_unavailable: "wait",

  file_too_large: "other_file",
  file_unsupported: "other_file",
  file_unreadable: "other_file",
  link_refused: "other_file",

  invalid_message: "report",
  message_too_large: "report",
  unknown_action: "report",
  unsupported_message: "report",
  misconfigured: "report",
  internal: "report",
};

export class CallError extends Error {
  override readonly name = "CallError";
  readonly remedy: Remedy;

  constructor(
    readonly code: CallErrorCode,
    message: string,
  ) {
    super(message);
    this.remedy = REMEDIES[code];
  }
}

/** Whatever was thrown, as a CallError. `otherwise` is the code of what says none itself. */
export function asCallError(thrown: unknown, otherwise: CallErrorCode): CallError {
  if (thrown instanceof CallError) return thrown;
  // An error-response rejects with the whole RTVI message, a route answers with the problem alone.
  const problem = isObject(thrown) && isObject(thrown.data) ? thrown.data : thrown;
  if (isObject(problem) && typeof problem.code === "string") {
    // A newer bot may have a code that this page does not know.
    const code = problem.code in REMEDIES ? (problem.code as CallErrorCode) : "internal";
    return new CallError(code, String(problem.message ?? code));
  }
  return new CallError(otherwise, thrown instanceof Error ? thrown.message : otherwise);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
