import { render } from "preact";
import { App } from "./app";
import { Call } from "./call/call";
import { NO_CALL } from "./state/model";
import { reduce } from "./state/reduce";
import { Store } from "./state/store";
import "./styles/index.css";

const store = new Store(reduce, NO_CALL);
const call = new Call(store);

// Leaving the page is hanging up: the bot need not find out by itself.
addEventListener("pagehide", () => void call.hangUp());

render(<App store={store} call={call} />, document.body);
