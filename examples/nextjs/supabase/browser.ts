import { createBrowserClient } from "@supabase/ssr";

/** Supabase for a page, with the user's session. Every call gives the same client. */
export function createClient() {
  return createBrowserClient(
    process.env.NEXT_PUBLIC_SUPABASE_URL!,
    process.env.NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY!,
  );
}
