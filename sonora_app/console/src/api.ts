/** A conversation, as a list shows it. */
export interface Listing {
  id: string;
  user_id: string | null;
  title: string | null;
  summary: string | null;
  status: string;
  language: string | null;
  created_at: string;
  last_message_at: string | null;
  messages: number;
  /** Whether a call goes on in it. */
  calling: boolean;
  /** What it is labelled with, its calls and its turns too. */
  labels: string[];
  /** Where the words stand that were looked for; without a message, in the title or the summary. */
  hit: { message_id: string | null; words: string } | null;
}

/** Some of a list of conversations, and how many it has in all. */
export interface Page {
  total: number;
  conversations: Listing[];
}

/** Which conversations are looked for. What is empty or false leaves none out. */
export interface Wanted {
  text: string;
  status: string;
  /** The first day, and the last. */
  since: string;
  until: string;
  failed: boolean;
  slow: boolean;
  label: string;
  outcome: string;
  /** A call of it began since, and before, a moment of the machine's clock. */
  begun_since: string;
  begun_until: string;
  /** A call of it ended so. */
  ended: string;
  /** In a call of it a turn was cut in two. */
  cut: boolean;
  failure: string;
  version: string;
  flow: string;
}

export type Grouped = "day" | "version" | "flow";

/** The figures of some calls. */
export interface CallFigures {
  /** The day, version or flow that they have in common; empty is not known. */
  key: string;
  calls: number;
  ended: Record<string, number>;
  wait_ms: { median: number | null; p95: number | null };
  turns_cut: number;
  early_answers: number;
  early_answers_withdrawn: number;
  failures: Record<string, number>;
  prompt_tokens: number;
  completion_tokens: number;
  cost: Record<string, number>;
  /** How many of them cost an amount that is not known whole. */
  cost_unknown: number;
}

export interface Figures {
  by: Grouped;
  groups: CallFigures[];
  total: CallFigures;
}

/** A message, as it is kept. */
export interface StoredMessage {
  id: string;
  session_id: string | null;
  role: string;
  content: string | null;
  modality: "voice" | "text";
  interrupted: boolean;
  node: string | null;
  /**
   * With what the bot said: what it was given, and what the user said over it that was no turn.
   * With what the user said: the message that it goes on with, as one turn.
   */
  metadata: {
    sources?: KeptSource[];
    backchannels?: { text: string }[];
    continues?: string;
  } | null;
  /** What it names the files by that came with it, and what the text-chat API wrote. */
  images: unknown[] | null;
  metrics: { latency?: { total_ms?: number; parts_ms?: Record<string, number> } } | null;
  created_at: string;
  deleted_at: string | null;
  /** When this machine had written it to its journal; null where that is not known. */
  written_at: string | null;
  /** When Supabase had confirmed that it has it. */
  stored_at: string | null;
}

/** What a turn was answered from. */
export interface KeptSource {
  passage_id: string;
  document: string;
  heading: string;
  page?: number | null;
  link?: string | null;
}

/** A call, as it is kept. */
export interface StoredSession {
  id: string;
  transport: string;
  started_at: string;
  ended_at: string | null;
  end_reason: string | null;
  metrics: {
    prompt_tokens?: number;
    completion_tokens?: number;
    characters_spoken?: number;
    early_answers?: number;
    early_answers_withdrawn?: number;
    turns_answered?: number;
    latency_ms?: { median: number; worst: number };
    /** What the person said of having its sound kept: where and when; and the file, since when. */
    recording?: {
      consent: "agreed" | "refused";
      by: "page" | "voice";
      at: string;
      file?: string;
      began_at?: string;
    };
    cost?: KeptCost;
  };
  app_version: string;
}

/** What a call cost; without a total where a part of it is not known. */
export interface KeptCost {
  currency: string;
  total: number | null;
  known: number;
  not_known: { part: "stt" | "llm" | "tts" }[];
}

/** A step of the flow, as it is kept. */
export interface StoredStep {
  id: string;
  from_node: string;
  to_node: string;
  trigger: string;
  arguments: Record<string, unknown>;
  created_at: string;
}

/** A call of a tool, as it is kept. */
export interface StoredToolCall {
  id: string;
  name: string;
  arguments: Record<string, unknown>;
  status: "started" | "done" | "failed" | "unknown" | "called_off";
  result: string | null;
  started_at: string;
  ended_at: string | null;
}

/** A label, as it is kept: at a turn, at a call, or with neither at the conversation. */
export interface StoredLabel {
  id: string;
  session_id: string | null;
  message_id: string | null;
  name: string;
  note: string | null;
  created_at: string;
}

/** Where a kept file is for the next minutes. */
export interface FileLink {
  url: string;
  name: string;
  media_type: string;
}

/** All that is kept of a conversation, as `sonora conversations show --json` gives it. */
export interface Transcript {
  conversation: Omit<Listing, "messages" | "calling" | "labels" | "hit"> & {
    metadata: { topics?: unknown; outcome?: unknown };
  };
  sessions: StoredSession[];
  messages: StoredMessage[];
  transitions: StoredStep[];
  tool_calls: StoredToolCall[];
  labels: StoredLabel[];
}

/** Something that is remembered of a person, as `sonora memories list --json` gives it. */
export interface Memory {
  id: string;
  content: string;
  source_message_id: string | null;
  conversation_id: string | null;
  created_at: string;
  valid_until: string | null;
  replaced_by: string | null;
}

/** What is remembered of a person, and whether they want it; null: they have not said. */
export interface Remembered {
  remembers: boolean | null;
  memories: Memory[];
}

/** A document that the bot answers from, as `sonora knowledge list --json` gives it. */
export interface Document {
  id: string;
  title: string;
  source: string;
  user_id: string | null;
  passages: number;
  created_at: string;
}

/** Where documents are searched, which there are, and what nothing was found for. */
export interface Knowledge {
  where: "local" | "supabase" | "match_documents";
  searchable: boolean;
  documents: Document[];
  unanswered: { question: string; user_id: string | null; asked_at: string }[];
}

/** What a search came upon, as `sonora knowledge search --json` gives it. */
export interface Findings {
  question: string;
  fits: number;
  took_ms: number;
  given: string[];
  found: {
    id: string;
    score: number;
    document: string;
    headings: string[];
    page: number | null;
    link: string | null;
    content: string;
  }[];
}

/** A way from one node to another. */
export interface FlowEdge {
  from: string;
  to: string;
  function: string;
  case: string | null;
}

/** The running flow, and where its parts stand in the picture. */
export interface Flow {
  yaml: string;
  editor: string;
  /** What the model is told at each node; placeholders are as the YAML has them. */
  nodes: {
    name: string;
    role: string | null;
    tasks: string[];
    functions: { name: string; description: string; by: "model" | "event"; arguments: string[] }[];
  }[];
  drawing: {
    width: number;
    height: number;
    boxes: {
      name: string;
      x: number;
      y: number;
      width: number;
      height: number;
      subtitle: string[];
      model: boolean;
      initial: boolean;
      final: boolean;
    }[];
    lines: {
      path: string;
      by: "model" | "event";
      arrow: boolean;
      edges: FlowEdge[];
      labels: { x: number; y: number; anchor: "start" | "end"; name: string; case: string }[];
    }[];
  };
}

/** A message of a request to the model. */
export interface AskedMessage {
  role: string;
  content?: string | { type: string; text?: string }[] | null;
  tool_calls?: { function: { name: string; arguments: string } }[];
}

/** What the model was asked in a conversation, where that is kept. */
export interface KeptRequests {
  requests: {
    id: string;
    session_id: string;
    node: string;
    model: string;
    aside: boolean;
    asked_at: string;
    /** Their names in `texts`. */
    messages: string[];
    tools: string;
  }[];
  texts: Record<string, unknown>;
}

/** Who plays a part of a call. */
export interface Part {
  /** A model on this machine that is not ready yet is stood in for. */
  played: "real" | "local" | "stand_in";
  /** Of the model on this machine; empty where there is none. */
  name: string;
  /** How much of that model is here; null where nothing is on its way. */
  percent: number | null;
}

export type Parts = Record<"stt" | "llm" | "tts", Part>;

/** What `sonora doctor` found, and what this run is made of. */
export interface Health {
  ok: boolean;
  version: string;
  language: string;
  /** How callers are known: by what they claim, or by their access token. */
  identity: "claimed" | "verified";
  supabase: boolean;
  /** Whether the sound of calls is kept, of those who agree. */
  recording: boolean;
  stand_ins: string[];
  /** The parts that a model on this machine does. */
  local: string[];
  parts: Parts;
  checks: { name: string; state: "ok" | "note" | "problem"; found: string; advice: string }[];
}

/** What a request gives: undefined until it is answered, null when it failed. */
export type Asked<Answer> = Answer | null | undefined;

/** A request that the bot's server refused, or did not answer. */
export class ApiError extends Error {
  constructor(
    message: string,
    /** Of HTTP; 0 where there was no answer. */
    readonly status = 0,
  ) {
    super(message);
  }
}

export const api = {
  conversations: (
    userId: string | null,
    wanted: Wanted,
    limit: number,
    offset: number,
  ): Promise<Page> => {
    const until = wanted.until && `${nextDay(wanted.until)}T00:00`;
    const since = wanted.since && `${wanted.since}T00:00`;
    const asked = { ...wanted, since, until, user_id: userId, limit, offset };
    const given = Object.entries(asked).filter(([, value]) => value);
    return request(`conversations?${new URLSearchParams(given.map(([k, v]) => [k, String(v)]))}`);
  },
  figures: (by: Grouped, since: string): Promise<Figures> =>
    request(`figures?by=${by}${since && `&since=${since}T00:00`}`),
  /** @param stop Gives the question up: nothing is answered. */
  transcript: (id: string, stop?: AbortSignal): Promise<Transcript> =>
    request(`conversations/${id}`, "GET", undefined, stop),
  requests: (id: string): Promise<KeptRequests> => request(`conversations/${id}/requests`),
  markdown: async (id: string, language: string): Promise<string> =>
    (await request<{ markdown: string }>(`conversations/${id}/markdown?language=${language}`)).markdown,
  /** What a call in progress used so far; null for any other. */
  used: (session: string): Promise<StoredSession["metrics"] | null> =>
    request(`calls/${session}/used`),
  remove: (id: string): Promise<unknown> => request(`conversations/${id}`, "DELETE"),
  label: (
    id: string,
    label: { name: string; note: string; session_id?: string | null; message_id?: string | null },
  ): Promise<unknown> => request(`conversations/${id}/labels`, "POST", label),
  changeLabel: (id: string, label: string, name: string, note: string): Promise<unknown> =>
    request(`conversations/${id}/labels/${label}`, "PUT", { name, note }),
  removeLabel: (id: string, label: string): Promise<unknown> =>
    request(`conversations/${id}/labels/${label}`, "DELETE"),
  file: (reference: string): Promise<FileLink> =>
    request(`files?reference=${encodeURIComponent(reference)}`),
  memories: (userId: string, past: boolean): Promise<Remembered> =>
    request(`memories?user_id=${encodeURIComponent(userId)}&past=${past}`),
  correctMemory: (userId: string, id: string, content: string): Promise<unknown> =>
    request(`memories/${id}`, "PUT", { user_id: userId, content }),
  forgetMemory: (userId: string, id: string): Promise<unknown> =>
    request(`memories/${id}?user_id=${encodeURIComponent(userId)}`, "DELETE"),
  chooseMemory: (userId: string, remembers: boolean): Promise<unknown> =>
    request("memories", "PUT", { user_id: userId, remembers }),
  knowledge: (): Promise<Knowledge> => request("knowledge"),
  search: (question: string, userId: string): Promise<Findings | null> =>
    request(
      `knowledge/search?question=${encodeURIComponent(question)}&user_id=${encodeURIComponent(userId)}`,
    ),
  flow: (language: string): Promise<Flow> => request(`flow?language=${language}`),
  parts: (): Promise<Parts> => request("parts"),
  /** Whether the bot's server is there at all. */
  answers: (): Promise<boolean> =>
    api.parts().then(
      () => true,
      (error) => error instanceof ApiError && error.status > 0,
    ),
  health: (language: string): Promise<Health> => request(`health?language=${language}`),
};

function nextDay(day: string): string {
  return new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10);
}

async function request<Answer>(
  path: string,
  method = "GET",
  data?: object,
  stop?: AbortSignal,
): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(`/sonora/api/${path}`, {
      method,
      cache: "no-store",
      headers: {
        // What is wrong is told in the page's language.
        "Accept-Language": document.documentElement.lang,
        ...(data && { "Content-Type": "application/json" }),
      },
      ...(data && { body: JSON.stringify(data) }),
      ...(stop && { signal: stop }),
    });
  } catch {
    throw new ApiError("");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(String(answer.message ?? response.status), response.status);
  return answer as Answer;
}
