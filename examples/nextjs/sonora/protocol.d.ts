// What a page and Sonora's bot say to each other: docs/protocol.md tells of each.
// Generated from sonora_app/page/protocol.py by `sonora protocol --format typescript`. Do not edit.

/** The answer to any other action: it is being done. */
export interface Accepted {
  status: "accepted";
}

/** The data of a client message whose `t` is `action`. */
export interface ActionMessage {
  action: string; // at most 64 characters
  arguments?: Record<string, unknown>;
}

/** The person switched their camera on or off. While it is on, the bot may ask for a frame. */
export interface Camera {
  on: boolean;
}

/**
 * The newest frame of the camera, which a `frame-wanted` asked for by its `id`.
 *
 * It is base64 or a data URL, or the `file` that was sent in parts.
 */
export interface CameraFrame {
  id: string; // a UUID
  image?: string | null; // 1 to 65536 characters
  file?: string | null; // a UUID
}

/** The call is over; nothing follows. */
export interface ConversationEnded {
  type: "sonora";
  event: "conversation-ended";
  reason: EndReason;
  status: ConversationStatus;
  summary?: string;
}

/** A conversation was opened, or is kept as another, without the page asking just then. */
export interface ConversationOpened {
  type: "sonora";
  event: "conversation-opened";
  conversation_id: string; // a UUID
  session_id: string; // a UUID
  resumed: boolean;
  history: "loaded" | "delayed";
  put_back: boolean;
  language: Language;
}

/** Where a conversation stands. */
export type ConversationStatus = "active" | "completed" | "abandoned" | "failed";

/** Put another sentence in the place of one that is remembered, which is forgotten. */
export interface CorrectMemory {
  id: string; // a UUID
  content: string; // 1 to 500 characters
}

/** Wind the conversation up; sent again while it is being wound up, say goodbye. */
export type EndConversation = Record<string, never>;

/** Why a call ended. */
export type EndReason =
  | "goodbye"
  | "user_request"
  | "user_idle"
  | "time_limit"
  | "no_conversation"
  | "client_left"
  | "shutdown"
  | "erased"
  | "error"
  | "crashed"
  | "taken_over";

/** Stable codes of the errors a page or a script can meet. Never renamed. */
export type ErrorCode =
  | "not_ready"
  | "unknown_action"
  | "unsupported_message"
  | "invalid_message"
  | "message_too_large"
  | "out_of_turn"
  | "already_open"
  | "conversation_refused"
  | "user_required"
  | "token_required"
  | "token_refused"
  | "identity_unavailable"
  | "too_many_attempts"
  | "storage_unavailable"
  | "model_unavailable"
  | "voice_unavailable"
  | "hearing_unavailable"
  | "hearing_restored"
  | "speech_dropped"
  | "conversation_ending"
  | "at_capacity"
  | "memory_unavailable"
  | "recording_unavailable"
  | "file_too_large"
  | "file_unsupported"
  | "file_unreadable"
  | "too_many_files"
  | "link_refused"
  | "not_found"
  | "misconfigured"
  | "internal";

/**
 * A part of a file that is larger than a message: a slice of its base64, or of its data URL.
 *
 * The page makes up the `id`, numbers the parts from 0, and names the id in
 * `user_multimodal_message` when all were accepted.
 */
export interface FilePart {
  id: string; // a UUID
  index: number;
  total: number;
  data: string; // 1 to 60000 characters
}

/** Forget what is remembered, for good. */
export interface ForgetMemory {
  id: string; // a UUID
}

/** The bot looks: give it the newest frame of the camera, as `camera_frame`, within 5 s. */
export interface FrameWanted {
  type: "sonora";
  event: "frame-wanted";
  id: string; // a UUID
}

/** What was said earlier, and was delayed, is known to the bot. `messages` counts the newest. */
export interface HistoryLoaded {
  type: "sonora";
  event: "history-loaded";
  messages: number;
}

/** The languages Sonora speaks. */
export type Language = "es" | "en";

/** The call goes on in another language: that of what the person is saying, or typed last. */
export interface LanguageChanged {
  type: "sonora";
  event: "language-changed";
  language: Language;
}

/**
 * Ask what is remembered of the person, the latest first.
 *
 * `past` asks for what holds no more, too. `skip` leaves out so many, to go on from there.
 */
export interface ListMemories {
  past?: boolean;
  skip?: number;
}

/**
 * The answer to `list_memories`. `more`: ask on with `skip`.
 *
 * `remembers` is what the person said about being remembered; null: nothing. `keeps`: whether what
 * they say now may be kept.
 */
export interface Memories {
  status: "memories";
  memories: RememberedFact[];
  more: boolean;
  remembers: boolean | null;
  keeps: boolean;
}

/** Something that was remembered was forgotten for good, or else holds no more. */
export interface MemoryEnded {
  type: "sonora";
  event: "memory-ended";
  id: string; // a UUID
  forgotten: boolean;
}

/** Something about the person was kept, in the place of `replaces` perhaps. */
export interface MemoryKept {
  type: "sonora";
  event: "memory-kept";
  memory: RememberedFact;
  replaces?: string; // a UUID
}

/** A turn is in the journal, in the order of `seq`: it survives a crash from here on. */
export interface MessageRecorded {
  type: "sonora";
  event: "message-recorded";
  id: string; // a UUID
  seq: number;
  role: string;
  modality: Modality;
  content: string | null;
  interrupted: boolean;
}

/** A turn reached Supabase. */
export interface MessageStored {
  type: "sonora";
  event: "message-stored";
  id: string; // a UUID
}

/** How it was said. */
export type Modality = "voice" | "text";

/** The flow moved. */
export interface NodeChanged {
  type: "sonora";
  event: "node-changed";
  node: string;
  previous: string;
  trigger: string;
}

/** Something the user should know that answers no message, such as speaking too early. */
export interface Notice {
  type: "sonora";
  event: "notice";
  code: ErrorCode;
  message: string;
}

/**
 * The data of an error-response.
 *
 * `error` repeats the sentence under the name that RTVI clients look for.
 */
export interface Problem {
  code: ErrorCode;
  message: string;
  error: string;
}

/**
 * The answer to `set_conversation_id`: the conversation is open and the bot will greet.
 *
 * With `put_back` the talk broke off a moment ago and goes on in `node`, where it was: the bot
 * says that it is still there, and does not greet.
 *
 * With `history` delayed it could not be read in time; a `history-loaded` follows when it is.
 *
 * `recording` says whether the call's sound is being kept; a `recording` event, that this changed.
 * `language` is what is spoken; a `language-changed` event says that this changed.
 */
export interface Ready {
  status: "ready";
  conversation_id: string; // a UUID
  session_id: string; // a UUID
  resumed: boolean;
  history: "loaded" | "delayed";
  put_back: boolean;
  node: string;
  recording: boolean;
  language: Language;
}

/** From here on the call's sound is kept, or is not. `ready` said how it was before. */
export interface RecordingChanged {
  type: "sonora";
  event: "recording";
  on: boolean;
}

/** One thing that is remembered of the person, and the message that they said it in. */
export interface RememberedFact {
  id: string; // a UUID
  content: string;
  said_at: string;
  message_id?: string | null; // a UUID
  conversation_id?: string | null; // a UUID
  valid_until?: string | null;
  replaced_by?: string | null; // a UUID
}

/**
 * Open a conversation: the page's first message, or the `/start` request's body.
 *
 * Without `conversation_id` a new conversation is opened, and its id returned. `recording` says
 * whether the person agrees to have the call's sound kept, where the bot keeps any; null: they
 * were not asked.
 */
export interface SetConversationId {
  conversation_id?: string | null; // a UUID
  user_id?: string | null; // 1 to 200 characters
  access_token?: string | null; // at most 8192 characters
  language?: Language | null;
  recording?: boolean | null;
}

/** Say whether the person wants to be remembered. */
export interface SetMemory {
  remembers: boolean;
}

/**
 * The person agrees, during a call, to have its sound kept; or takes that back.
 *
 * `recording` false stops it, and erases what was recorded of the talk.
 */
export interface SetRecording {
  recording: boolean;
}

/** The answer to what shows something: what was taken, in its order. */
export interface Shown {
  status: "shown";
  files: ShownFile[];
}

/**
 * A picture or a document, as the bot took it.
 *
 * `width` and `height` are of a picture made small, in pixels; `chars` is how long the document's
 * text is.
 */
export interface ShownFile {
  id: string; // a UUID
  kind: "picture" | "document";
  name: string;
  width?: number | null;
  height?: number | null;
  chars?: number | null;
}

/**
 * A passage of a document that an answer was given.
 *
 * `link` is there where the document came from the web; `score` is 0 to 1.
 */
export interface Source {
  passage_id: string; // a UUID
  document_id: string; // a UUID
  document: string;
  heading: string;
  content: string;
  score: number;
  page?: number | null;
  link?: string | null;
}

/**
 * What was looked up for the answer that begins now.
 *
 * `state` says what came of it: `given`; `none`, where nothing fitted; `late` or `failed`, where
 * the answer is given without documents. `took_ms` is the search, `waited_ms` what the answer
 * waited for it.
 */
export interface Sources {
  type: "sonora";
  event: "sources";
  state: "given" | "none" | "late" | "failed";
  question: string;
  sources: Source[];
  took_ms: number;
  waited_ms: number;
}

/** How storage is doing, sent when it changes. `pending` counts records not yet written. */
export interface StorageState {
  type: "sonora";
  event: "storage";
  state: "ok" | "delayed" | "failing";
  pending: number;
}

/**
 * A tool was called, or its call has ended. `took_ms` is there once it has.
 *
 * `unknown`: nobody can say whether it was done. `called_off`: the person did not want it any
 * more. The same `id` comes again with what came of it.
 */
export interface ToolCallEvent {
  type: "sonora";
  event: "tool-call";
  id: string; // a UUID
  name: string;
  state: "started" | "done" | "failed" | "unknown" | "called_off";
  took_ms?: number;
}

/** How long the answer to one turn took to be heard, and its parts, in milliseconds. */
export interface TurnLatency {
  type: "sonora";
  event: "turn-latency";
  total_ms: number;
  parts_ms: Record<string, number>;
}

/** A document that the person shows: base64, a data URL, or its text as it is. */
export interface UserFileMessage {
  file_content: string; // 1 to 65536 characters
  file_name?: string; // at most 500 characters
  text?: string; // at most 4000 characters
  audio_response?: boolean;
}

/** A picture that the person shows: base64, or a data URL. It is answered at once. */
export interface UserImage {
  image: string; // 1 to 65536 characters
  text?: string; // at most 4000 characters
  name?: string; // at most 500 characters
  audio_response?: boolean;
}

/**
 * Pictures and documents that the person shows, with what they say of them.
 *
 * `image_urls` are links (https) or data URLs, `files` the ids of files that were sent in parts.
 */
export interface UserMultimodalMessage {
  text?: string; // at most 4000 characters
  image_urls?: string[];
  files?: string[];
  names?: string[];
  audio_response?: boolean;
}

/** Something the user typed. `audio_response` false asks for the answer in text only. */
export interface UserTextMessage {
  text: string; // 1 to 4000 characters
  audio_response?: boolean;
}

/** The actions of a page, by name. A message has at most 16384 bytes of JSON. */
export interface Actions {
  set_conversation_id: { arguments: SetConversationId; answer: Ready };
  end_conversation: { arguments: EndConversation; answer: Accepted };
  user_text_message: { arguments: UserTextMessage; answer: Accepted };
  file_part: { arguments: FilePart; answer: Accepted };
  user_image: { arguments: UserImage; answer: Shown };
  user_multimodal_message: { arguments: UserMultimodalMessage; answer: Shown };
  user_file_message: { arguments: UserFileMessage; answer: Shown };
  camera: { arguments: Camera; answer: Accepted };
  camera_frame: { arguments: CameraFrame; answer: Accepted };
  list_memories: { arguments: ListMemories; answer: Memories };
  correct_memory: { arguments: CorrectMemory; answer: Accepted };
  forget_memory: { arguments: ForgetMemory; answer: Accepted };
  set_memory: { arguments: SetMemory; answer: Accepted };
  set_recording: { arguments: SetRecording; answer: Accepted };
}

/** What a server-message of Sonora's holds, told apart by `event`. */
export type SonoraEvent =
  | NodeChanged
  | MessageRecorded
  | MessageStored
  | StorageState
  | TurnLatency
  | ConversationOpened
  | LanguageChanged
  | RecordingChanged
  | HistoryLoaded
  | MemoryKept
  | MemoryEnded
  | FrameWanted
  | Notice
  | Sources
  | ToolCallEvent
  | ConversationEnded;
