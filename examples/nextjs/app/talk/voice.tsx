"use client";

import { usePipecatClientMediaDevices } from "@pipecat-ai/client-react";

import type { SonoraCall } from "@/sonora/call";
import { useCall } from "./use-sonora";

/** Who speaks, the microphone's switch, and which devices are used. */
export function Voice({ call }: { call: SonoraCall }) {
  const { muted, userSpeaks, botSpeaks } = useCall(call);
  const devices = usePipecatClientMediaDevices();
  return (
    <div>
      <p role="status">
        {botSpeaks ? "Sonora is speaking" : userSpeaks ? "You are speaking" : "Sonora is listening"}
        {muted && " · muted: Sonora cannot hear you"}
      </p>
      <button aria-pressed={muted} onClick={() => call.mute(!muted)}>
        {muted ? "Unmute" : "Mute"}
      </button>
      <Choice
        label="Microphone"
        from={devices.availableMics}
        chosen={devices.selectedMic.deviceId}
        onChoose={devices.updateMic}
      />
      <Choice
        label="Speaker"
        from={devices.availableSpeakers}
        chosen={devices.selectedSpeaker.deviceId}
        onChoose={devices.updateSpeaker}
      />
    </div>
  );
}

/** Nothing where there is nothing to choose. */
function Choice(props: {
  label: string;
  from: MediaDeviceInfo[];
  chosen: string | undefined;
  onChoose: (deviceId: string) => void;
}) {
  const { label, from, chosen, onChoose } = props;
  if (from.length < 2) return null;
  return (
    <label>
      {label}{" "}
      <select value={chosen} onChange={(event) => onChoose(event.target.value)}>
        {from.map((device) => (
          <option key={device.deviceId} value={device.deviceId}>
            {device.label}
          </option>
        ))}
      </select>
    </label>
  );
}
