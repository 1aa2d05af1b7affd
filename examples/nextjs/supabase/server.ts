import { createServerClient } from "@supabase/ssr";
import { cookies } from "next/headers";

/** Supabase for a route on the server, with the session that is in the request's cookies. */
export async function createClient() {
  const store = await cookies();
  return createServerClient(
    process.env.NEXT_PUBLIC_SUPABASE_URL!,
    process.env.NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY!,
    {
      cookies: {
        getAll: () => store.getAll(),
        setAll: (changed) => {
          for (const { name, value, options } of changed) store.set(name, value, options);
        },
      },
    },
  );
}
