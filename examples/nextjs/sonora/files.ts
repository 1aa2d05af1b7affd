/** Sends files in pieces: a data channel takes messages of at most 64 KiB. */

import type { Accepted, FilePart } from "./protocol";

/** What the bot takes at most. */
export const MAX_FILES = 4;
export const MAX_FILE_BYTES = 20_000_000;

const PART_CHARS = 60_000;
const AT_ONCE = 6;

/** Send a file with `send`, and give the id by which a message shows it. */
export async function sendInParts(
  file: Blob,
  send: (part: FilePart) => Promise<Accepted>,
): Promise<string> {
  const id = crypto.randomUUID();
  const text = await base64(file);
  const total = Math.ceil(text.length / PART_CHARS);
  for (let first = 0; first < total; first += AT_ONCE) {
    const several = Array.from({ length: Math.min(AT_ONCE, total - first) }, (_, n) => first + n);
    await Promise.all(
      several.map((index) =>
        send({ id, index, total, data: text.slice(index * PART_CHARS, (index + 1) * PART_CHARS) }),
      ),
    );
  }
  return id;
}

function base64(file: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).replace(/^.*,/, ""));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
