using System.Globalization;
using Megaphone.Microbench;
using Megaphone.Protocol;
using Megaphone.Xmpp;

// The hot paths of protocol and framing on one core, without any I/O: dotnet run -c Release --project
// tests/bench/Megaphone.Microbench [headers | stanzas | addresses]
const int Headers = 4096;
const int Limit = 1 << 20;
const int PacketBytes = 64;
const int BufferBytes = 64 << 10;
const int StanzaCount = 256;
const int MaxStanzaBytes = 256 << 10;

Random random = new(1);
int[] lengths = new int[Headers];
ulong[] ids = new ulong[Headers];
for (int i = 0; i < Headers; i++)
{
    // Lengths and ids of all numbers of digits, as a link with every kind of traffic would carry them.
    lengths[i] = PacketHeader.Size + random.Next(1 << random.Next(1, 20));
    ids[i] = (ulong)random.NextInt64() >> random.Next(0, 63);
}

byte[] headers = new byte[Headers * PacketHeader.Size];
byte[] packets = new byte[BufferBytes];
Format();
for (int at = 0; at < packets.Length; at += PacketBytes)
    PacketHeader.Write(packets.AsSpan(at), PacketBytes, ids[at / PacketBytes % Headers]);

StreamSplitter stanzaSplitter = new(new PieceMemory(MaxStanzaBytes));
byte[] stanzas = Stanzas.Stream(StanzaCount);

Console.WriteLine($"{"million per second, one core",-44} {"median",8} {"min",8} {"max",8} {"allocated",10}");
if (args is [] or ["headers"])
{
    Measurement.Print("headers parsed", Parse, Headers);
    Measurement.Print("headers parsed by the plain scanner", Scan, Headers);
    Measurement.Print("headers written", Format, Headers);
    Measurement.Print("64-byte packets split", Split, BufferBytes / PacketBytes);
    Measurement.Print("64-byte packets split, pieces of 1460 bytes", SplitPieces, BufferBytes / PacketBytes);
}

if (args is [] or ["stanzas"])
{
    Measurement.Print("bytes of stanzas split, 16 KiB at a time", () => SplitStanzas(16 << 10), stanzas.Length);
    Measurement.Print("bytes of stanzas split, 1 KiB at a time", () => SplitStanzas(Stanzas.Bytes), stanzas.Length);
    Measurement.Print("bytes of stanzas split, 100 at a time", () => SplitStanzas(100), stanzas.Length);
}

if (args is [] or ["addresses"])
{
    using Addresses addresses = new();
    Measurement.Print("addresses looked up, of a million", addresses.LookUp, Addresses.Step);
    Measurement.Print("connections counted and counted off, likewise", addresses.ComeAndGo, Addresses.Step);
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{"bytes for each address",-44} {addresses.BytesEach,8:F1}"));
}

void Parse()
{
    ulong sum = 0;
    for (int at = 0; at < headers.Length; at += PacketHeader.Size)
    {
        if (!PacketHeader.TryParse(headers.AsSpan(at), Limit, out PacketHeader header)) ThrowUnexpected();
        sum += header.ConnectionId ^ (uint)header.Length;
    }

    Sink.Value = sum;
}

void Scan()
{
    ulong sum = 0;
    for (int at = 0; at < headers.Length; at += PacketHeader.Size)
    {
        HeaderFaultKind kind = HeaderScanner.Scan(headers.AsSpan(at), Limit, out PacketHeader header, out _);
        if (kind != HeaderFaultKind.None) ThrowUnexpected();
        sum += header.ConnectionId ^ (uint)header.Length;
    }

    Sink.Value = sum;
}

void Format()
{
    for (int i = 0; i < Headers; i++) PacketHeader.Write(headers.AsSpan(i * PacketHeader.Size), lengths[i], ids[i]);
}

void Split()
{
    PacketSplitter splitter = new(Limit);
    ReadOnlySpan<byte> unread = packets;
    ulong sum = 0;
    while (splitter.Next(unread, out PacketHeader header) == PacketSplitter.Result.Packet)
    {
        sum += header.ConnectionId;
        unread = unread[header.Length..];
    }

    if (splitter.Offset != packets.Length) ThrowUnexpected();
    Sink.Value = sum;
}

// As a receiver sees it: what has arrived grows by a segment at a time, and most segments end within a packet.
void SplitPieces()
{
    PacketSplitter splitter = new(Limit);
    int read = 0;
    ulong sum = 0;
    for (int arrived = 0; arrived < packets.Length;)
    {
        arrived = Math.Min(arrived + 1460, packets.Length);
        while (splitter.Next(packets.AsSpan(read, arrived - read), out PacketHeader header) == PacketSplitter.Result.Packet)
        {
            sum += header.ConnectionId;
            read += header.Length;
        }
    }

    if (read != packets.Length) ThrowUnexpected();
    Sink.Value = sum;
}

// As a reactor sees it: so much is read at a time, and most reads end within a stanza.
void SplitStanzas(int atATime)
{
    StreamState stream = default;
    int pieces = 0;
    for (int at = 0; at < stanzas.Length; at += atATime)
    {
        ReadOnlySpan<byte> unread = stanzas.AsSpan(at, Math.Min(atATime, stanzas.Length - at));
        while (stanzaSplitter.Next(ref stream, MaxStanzaBytes, ref unread, out _, out _) == StreamSplitter.Step.Piece) pieces++;
    }

    if (pieces != StanzaCount + 1) ThrowUnexpected();
    stanzaSplitter.Release(ref stream, MaxStanzaBytes);
}

static void ThrowUnexpected() => throw new InvalidOperationException("What is measured does not work.");
