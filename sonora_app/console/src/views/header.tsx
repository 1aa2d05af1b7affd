import { type Language, useWords } from "../words";

export type Theme = "system" | "light" | "dark";

interface Props {
  language: Language;
  onLanguage: (language: Language) => void;
  theme: Theme;
  onTheme: (theme: Theme) => void;
  version: string | null;
}

/** The name, and how the page looks and speaks. */
export function Header({ language, onLanguage, theme, onTheme, version }: Props) {
  const words = useWords();
  return (
    <header class="header">
      <h1 class="wordmark">
        <svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true">
          <path d="M6 13v6M11.5 8v16M17 4v24M22.500 10v12M28 14v4" />
        </svg>
        Sonora
      </h1>
      <p class="tagline">
        {words.tagline}
        {version && <span class="version"> · {version}</span>}
      </p>
      <Switch
        label={words.language}
        name="language"
        value={language}
        options={[
          ["es", "ES", "Español"],
          ["en", "EN", "English"],
        ]}
        onChange={onLanguage}
      />
      <Switch
        label={words.theme.label}
        name="theme"
        value={theme}
        options={[
          ["system", words.theme.system],
          ["light", words.theme.light],
          ["dark", words.theme.dark],
        ]}
        onChange={onTheme}
      />
    </header>
  );
}

interface SwitchProps<Value extends string> {
  label: string;
  name: string;
  value: Value;
  options: [Value, string, string?][];
  onChange: (value: Value) => void;
}

function Switch<Value extends string>({ label, name, value, options, onChange }: SwitchProps<Value>) {
  return (
    <fieldset class="switch">
      <legend class="hidden">{label}</legend>
      {options.map(([each, shown, spoken]) => (
        <label key={each}>
          <input
            type="radio"
            name={name}
            checked={each === value}
            onChange={() => onChange(each)}
            aria-label={spoken ?? shown}
          />
          <span aria-hidden={spoken ? true : undefined}>{shown}</span>
        </label>
      ))}
    </fieldset>
  );
}
