import type { PipecatClient } from "@pipecat-ai/client-js";
import type { Actions } from "./protocol";

/** How many files come with one message, and how large each may be, in bytes. The bot's limits. */
export const MAX_FILES = 4;
export const MAX_FILE_BYTES = 20_000_000;

/** What the bot reads, as a file picker names it. */
export const ACCEPTED =
  "image/jpeg,image/png,image/webp,application/pdf,.docx,.txt,.md,.csv,text/plain";

/** Characters of base64 in one message: a data channel takes 64 KiB. */
const PART_CHARS = 60_000;
/** Parts that are under way at the same time. */
const AT_ONCE = 6;

type Client = Pick<PipecatClient, "sendClientRequest">;

/** What is asked of the bot by name. */
export async function ask<Name extends keyof Actions>(
  client: Client,
  action: Name,
  args: Actions[Name]["arguments"],
): Promise<Actions[Name]["answer"]> {
  const answer = await client.sendClientRequest("action", { action, arguments: args });
  return answer as Actions[Name]["answer"];
}

/**
 * Send a file in parts.
 *
 * @returns The id by which a message shows it.
 */
export async function sendInParts(client: Client, file: Blob): Promise<string> {
  const id = crypto.randomUUID();
  const text = await base64(file);
  const total = Math.ceil(text.length / PART_CHARS);
  for (let first = 0; first < total; first += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, total - first) }, (_, n) => first + n);
    await Promise.all(
      some.map((index) =>
        ask(client, "file_part", {
          id,
          index,
          total,
          data: text.slice(index * PART_CHARS, (index + 1) * PART_CHARS),
        }),
      ),
    );
  }
  return id;
}

async function base64(file: Blob): Promise<string> {
  const url = await new Promise<string>((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
  return url.slice(url.indexOf(",") + 1);
}
