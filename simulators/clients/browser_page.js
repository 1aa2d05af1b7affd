// A page that talks to a bot as a browser does: its microphone plays what it is given, and what the
// bot says is heard where it would be played, behind the browser's jitter buffer.
//
// Times are the audio context's, told as milliseconds since the epoch.

const RATE = 48000;

const METER = `
registerProcessor("meter", class extends AudioWorkletProcessor {
  constructor(options) {
    super();
    Object.assign(this, options.processorOptions, { sum: 0, count: 0 });
  }
  process([[samples]]) {
    for (let i = 0; samples && i < samples.length; i++) {
      this.sum += samples[i] * samples[i];
      if (++this.count < this.block) continue;
      const loud = Math.sqrt(this.sum / this.count) > this.loud;
      this.port.postMessage({ loud, secs: (currentFrame + i + 1) / sampleRate });
      this.sum = this.count = 0;
    }
    return true;
  }
});`;

let context, microphone, connection, channel, pinging;
let startedAt = Infinity;

const since = (secs) => startedAt + secs * 1000;

async function connect({ noise, loud, blockSecs }) {
  context = new AudioContext({ sampleRate: RATE });
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([METER], { type: "text/javascript" })));
  const meter = new AudioWorkletNode(context, "meter", {
    processorOptions: { loud: loud / 32768, block: blockSecs * RATE },
  });
  meter.port.onmessage = ({ data }) => {
    // The message that took least time tells best when the context began.
    startedAt = Math.min(startedAt, performance.timeOrigin + performance.now() - data.secs * 1000);
    if (data.loud) heard(since(data.secs));
  };
  meter.connect(context.destination);
  microphone = context.createMediaStreamDestination();
  hiss(noise / 32768);

  connection = new RTCPeerConnection();
  connection.addTrack(microphone.stream.getAudioTracks()[0], microphone.stream);
  connection.ontrack = ({ track }) => {
    const stream = new MediaStream([track]);
    // A stream that no element plays gives no sound.
    const element = Object.assign(new Audio(), { srcObject: stream, muted: true });
    element.play();
    context.createMediaStreamSource(stream).connect(meter);
  };
  channel = connection.createDataChannel("chat");
  channel.onmessage = ({ data }) => received(data);
  const open = new Promise((resolve) => (channel.onopen = resolve));
  await offer();
  await open;
  pinging = setInterval(() => channel.send(`ping: ${Date.now()}`), 1000);
}

async function offer() {
  const post = async (path, body) => {
    const headers = { "Content-Type": "application/json" };
    return (await fetch(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
  };
  const { sessionId } = await post("/start", { transport: "webrtc", body: {} });
  const gathered = new Promise((resolve) => {
    connection.onicegatheringstatechange = () => connection.iceGatheringState === "complete" && resolve();
  });
  await connection.setLocalDescription(await connection.createOffer());
  await gathered;
  await connection.setRemoteDescription(
    await post(`/sessions/${sessionId}/api/offer`, connection.localDescription),
  );
}

// A room that is never digitally silent, of a loudness as root mean square.
function hiss(loudness) {
  const room = context.createBuffer(1, 2 * RATE, RATE);
  // Evenly spread chance has the root mean square of its height by the root of three.
  const samples = room.getChannelData(0);
  for (let i = 0; i < samples.length; i++) samples[i] = (2 * Math.random() - 1) * loudness * Math.sqrt(3);
  const source = new AudioBufferSourceNode(context, { buffer: room, loop: true });
  source.connect(microphone);
  source.start();
}

// Plays 16-bit samples, as base64; returns when the last of them will have been said.
function say(encoded) {
  const pcm = new Int16Array(Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0)).buffer);
  const speech = context.createBuffer(1, pcm.length, RATE);
  speech.copyToChannel(Float32Array.from(pcm, (sample) => sample / 32768), 0);
  const source = new AudioBufferSourceNode(context, { buffer: speech });
  source.connect(microphone);
  const start = context.currentTime + 0.05;
  source.start(start);
  return since(start + speech.duration);
}

function hangUp() {
  clearInterval(pinging);
  connection.close();
}
