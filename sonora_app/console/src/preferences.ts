import { useState } from "preact/hooks";

/** A choice of the user's that this browser remembers. */
export function usePreference<Value extends string>(
  name: string,
  initial: Value,
): [Value, (value: Value) => void] {
  const key = `sonora.${name}`;
  const [value, setValue] = useState<Value>(() => (read(key) as Value | null) ?? initial);
  return [
    value,
    (next) => {
      setValue(next);
      try {
        localStorage.setItem(key, next);
      } catch {
        // A browser that keeps nothing forgets the choice.
      }
    },
  ];
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}
