import { useEffect, useState } from "preact/hooks";
import { api, type Asked, type FileLink } from "../api";
import type { SentFile } from "../state/model";
import { useWords } from "../words";

/** Files that are sent with a message of this call. */
export function SentFiles({ files }: { files: SentFile[] }) {
  const words = useWords();
  if (files.length === 0) return null;
  return (
    <ul class="files">
      {files.map((file) => (
        <li key={file.key}>
          {file.url ? (
            <img src={file.url} alt={words.files.picture(file.name)} />
          ) : (
            <span class="document">{file.name}</span>
          )}
        </li>
      ))}
    </ul>
  );
}

/** Files of an earlier message, by the names that it has for them. */
export function KeptFiles({ references }: { references: unknown[] }) {
  const kept = references.filter(
    (each): each is string => typeof each === "string" && each.startsWith("sonora-files/"),
  );
  if (kept.length === 0) return null;
  return (
    <ul class="files">
      {kept.map((reference) => (
        <li key={reference}>
          <KeptFile reference={reference} />
        </li>
      ))}
    </ul>
  );
}

/** One of them. Its link is asked for when it is shown, since links end. */
function KeptFile({ reference }: { reference: string }) {
  const words = useWords();
  const [link, setLink] = useState<Asked<FileLink>>(undefined);
  useEffect(() => {
    let shown = true;
    const set = (found: FileLink | null): void => {
      if (shown) setLink(found);
    };
    api.file(reference).then(set, () => set(null));
    return () => {
      shown = false;
    };
  }, [reference]);
  if (link === undefined) return <span class="document">…</span>;
  if (link === null) return <span class="document gone">{words.files.gone}</span>;
  return link.media_type.startsWith("image/") ? (
    <img src={link.url} alt={words.files.picture(link.name)} />
  ) : (
    <a class="document" href={link.url} target="_blank" rel="noreferrer">
      {link.name || words.files.document}
    </a>
  );
}
