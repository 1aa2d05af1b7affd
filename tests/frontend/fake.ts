// Plays calls by hand, as a site's own tests would: tests/frontend/test_fake_call.py looks at them.

import { fakeCall } from "./sonora/fake-call";
import type { Ready, SetConversationId } from "./sonora/protocol";

const READY: Ready = {
  status: "ready",
  conversation_id: "01900000-0000-7000-8000-000000000001",
  session_id: "01900000-0000-7000-8000-000000000002",
  resumed: false,
  history: "loaded",
  put_back: false,
  node: "greeting",
  recording: false,
  language: "es",
};

async function main() {
  const { call, bot } = fakeCall({
    history: () =>
      Promise.resolve([
        { id: "a", role: "agent", content: "Hola, soy", modality: "voice", interrupted: true },
        { id: "b", role: "user", content: "¿Sigues?", modality: "text", interrupted: false },
        { id: "c", role: "assistant", content: "", modality: "voice", interrupted: false },
      ]),
  });
  const told: unknown[] = [];
  const note = () => told.push(call.state().lines.map(({ role, text, state }) => [role, text, state]));

  bot.answers.set_conversation_id = { ...READY, recording: true };
  await call.start("01900000-0000-7000-8000-000000000001", { recording: true });
  const recorded = [call.state().recording];
  bot.tells({ type: "sonora", event: "recording", on: false });
  recorded.push(call.state().recording);
  await call.setRecording(false);
  note();
  bot.notices("botStartedSpeaking");
  const first = bot.says("Hola de nuevo.", "");
  bot.says("¿En qué te ayudo?", "");
  bot.goesOn(first, "Hola de nuevo.", "Hola de");
  const speaks = call.state().botSpeaks;
  bot.isCutOff();
  bot.understands("I want", false);
  bot.tells({ type: "sonora", event: "language-changed", language: "en" });
  bot.understands("I want a table.");
  note();
  call.mute(true);
  bot.refuses("user_text_message", "conversation_ending", "La conversación está terminando.");
  const refused = await call.sendText("Adiós").catch((error: Error) => error.message);
  bot.says("Hasta pronto.");
  bot.tells({ type: "sonora", event: "conversation-ended", reason: "goodbye", status: "completed" });
  bot.leaves();
  note();
  const { phase, muted } = call.state();
  const languages = call.state().lines.map(({ language }) => language);
  const asked = bot.asked.map(({ action }) => action);
  const { recording: agreed } = bot.asked[0]!.arguments as SetConversationId;
  console.log(JSON.stringify({ told, speaks, muted, hears: bot.hears, refused, phase, asked, agreed, recorded, languages }));
}

void main();
