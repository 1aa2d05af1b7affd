import { render } from "preact";
import { App } from "./app";
import { Call } from "./call/call";
import { NO_CALL } from "./state/model";
import { reduce } from "./state/reduce";
import { Store } from "./state/store";
import "./styles/index.css";

const store = new Store(reduce, NO_CALL);
const call = new Call(store);

// The bot need not find out by itself. It may be a reload, so one may go on.
addEventListener("pagehide", () => void call.letGo());
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());

render(<App store={store} call={call} />, document.body);
