import type { Wish } from "@/sonora/call";
import { asCallError, CallError, type CallErrorCode } from "@/sonora/errors";
import { startSession } from "@/sonora/pipecat-cloud";
import { createClient } from "@/supabase/server";

/** Seconds this route may take, on hosts that have such a limit. */
export const maxDuration = 60;

const STATUS: Partial<Record<CallErrorCode, number>> = {
  signed_out: 401,
  invalid_message: 400,
  at_capacity: 503,
  start_failed: 502,
};

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Start a session for the signed-in user: a `Wish` to `{url, token}`. */
export async function POST(request: Request): Promise<Response> {
  try {
    const wish = readWish(await request.json().catch(() => null));
    const supabase = await createClient();
    // The claims are checked; the session beside them is only read for its token.
    const claims = (await supabase.auth.getClaims()).data?.claims;
    const session = (await supabase.auth.getSession()).data.session;
    if (!claims || !session) throw new CallError("signed_out", "Sign in first.");
    const connection = await startSession(
      { name: env("PIPECAT_CLOUD_AGENT"), apiKey: env("PIPECAT_CLOUD_API_KEY") },
      { ...wish, user_id: claims.sub, access_token: session.access_token },
    );
    return Response.json(connection);
  } catch (thrown) {
    const error = asCallError(thrown, "internal");
    // The words of what was not foreseen are for the log, not for the page.
    if (error !== thrown) console.error("Starting a session failed:", thrown);
    const message = error === thrown ? error.message : "This failed on our side.";
    return Response.json({ code: error.code, message }, { status: STATUS[error.code] ?? 500 });
  }
}

function readWish(body: unknown): Wish {
  const { conversation_id = null, language = null, recording = null } = (body ?? {}) as Record<string, unknown>;
  if (conversation_id !== null && !(typeof conversation_id === "string" && UUID.test(conversation_id))) {
    throw new CallError("invalid_message", "conversation_id must be a UUID or null.");
  }
  if (language !== null && language !== "es" && language !== "en") {
    throw new CallError("invalid_message", "language must be es, en or null.");
  }
  if (recording !== null && typeof recording !== "boolean") {
    throw new CallError("invalid_message", "recording must be true, false or null.");
  }
  return { conversation_id, language, recording };
}

function env(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}
