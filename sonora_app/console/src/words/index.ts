import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { en, type Words } from "./en";
import { es } from "./es";

export type Language = "es" | "en";
export type { Words };

export const WORDS: Record<Language, Words> = { es, en };

const Spoken = createContext<Words>(en);

/** Gives its children the words of a language. */
export const WordsIn = Spoken.Provider;

/** The page's words, in the language that was chosen. */
export function useWords(): Words {
  return useContext(Spoken);
}

/** The language that the browser prefers. */
export function browserLanguage(): Language {
  for (const tag of navigator.languages) {
    if (tag.startsWith("es")) return "es";
    if (tag.startsWith("en")) return "en";
  }
  return "es";
}
