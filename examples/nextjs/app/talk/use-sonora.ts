"use client";

import { DailyTransport } from "@pipecat-ai/daily-transport";
import { useSyncExternalStore } from "react";

import { SonoraCall, type CallOptions, type CallState } from "@/sonora/call";
import { SonoraClient } from "@/sonora/client";
import { localTransport, startLocally } from "@/sonora/local-bot";
import { createClient } from "@/supabase/browser";

export interface Sonora {
  readonly client: SonoraClient;
  readonly call: SonoraCall;
}

const viaOurServer: CallOptions = {
  async start(conversation) {
    const response = await fetch("/api/sonora/start", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(conversation),
    });
    const answer: unknown = await response.json();
    if (!response.ok) throw answer; // {code, message}
    return answer; // {url, token}
  },
  async accessToken(fresh) {
    const { auth } = createClient();
    const { data } = fresh ? await auth.refreshSession() : await auth.getSession();
    return data.session?.access_token ?? null;
  },
  async history(conversationId) {
    const { data, error } = await createClient()
      .from("messages")
      .select("id, role, content, modality, interrupted")
      .eq("conversation_id", conversationId)
      .is("deleted_at", null)
      .order("created_at", { ascending: false })
      .order("seq", { ascending: false })
      .limit(200);
    if (error) throw error;
    return data.reverse();
  },
};

let sonora: Sonora | undefined;

/** The page's one client: Daily allows a single call object, and a second one would throw. */
export function getSonora(): Sonora {
  return (sonora ??= makeSonora(process.env.NEXT_PUBLIC_SONORA_BOT));
}

function makeSonora(localBot: string | undefined): Sonora {
  const client = new SonoraClient({
    transport: localBot ? localTransport() : new DailyTransport(),
    enableMic: true,
  });
  const options = localBot
    ? { start: startLocally(localBot, "developer"), accessToken: () => Promise.resolve(null) }
    : viaOurServer;
  return { client, call: new SonoraCall(client, options) };
}

/** The state of a call, kept up to date. */
export function useCall(call: SonoraCall): CallState {
  return useSyncExternalStore(call.subscribe, call.state, call.state);
}
