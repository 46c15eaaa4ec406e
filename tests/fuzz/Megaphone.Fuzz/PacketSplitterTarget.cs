using Megaphone.Protocol;

namespace Megaphone.Fuzz;

/// <summary>
/// A link's stream (section 1 of the link protocol): the same packets and the same fault however it is cut, no byte lost or added, a
/// fault known as soon as its byte is there, and no more waited for than a packet may be long. A packet on id 0 raises the limit, as the
/// handshake does.
/// </summary>
internal static class PacketSplitterTarget
{
    private const int FirstLimit = 64;
    private const int RaisedLimit = 300;

    public static void Run(byte[] input)
    {
        CutStream stream = CutStream.Parse(input);
        (int, long, string?) whole = Read(stream.Bytes, CutStream.Whole);
        Property.Holds(Read(stream.Bytes, stream.Lengths) == whole, "a stream is read the same however it is cut");
        Property.Holds(Read(stream.Bytes, CutStream.Single) == whole, "a stream is read the same byte by byte");
    }

    private static (int Packets, long Offset, string? Fault) Read(byte[] bytes, int[] lengths)
    {
        PacketSplitter splitter = new(FirstLimit);
        byte[] written = new byte[RaisedLimit];
        int packets = 0;
        int received = 0;
        CutStream.Feed(bytes, lengths, part =>
        {
            received += part.Count;
            PacketSplitter.Result result;
            PacketHeader header;
            while ((result = splitter.Next(bytes.AsSpan((int)splitter.Offset..received), out header)) == PacketSplitter.Result.Packet)
            {
                packets++;
                int start = (int)splitter.Offset - header.Length;
                Property.Holds(header.Length <= splitter.MaxPacketBytes, "no packet is longer than allowed");
                PacketHeader.Write(written, header.Length, header.ConnectionId);
                Property.Holds(bytes.AsSpan(start).StartsWith(written.AsSpan(0, PacketHeader.Size)), "packets follow one another without a gap");
                if (header.ConnectionId == PacketHeader.ControlId) splitter.MaxPacketBytes = RaisedLimit;
            }

            int waiting = received - (int)splitter.Offset;
            if (result == PacketSplitter.Result.Incomplete)
            {
                Property.Holds(splitter.Fault is null, "an incomplete packet is no fault");
                Property.Holds(header.Length <= splitter.MaxPacketBytes, "nothing is waited for that is too long");
                Property.Holds(waiting < Math.Max(PacketHeader.Size, header.Length), "a packet that has arrived is found");
                return true;
            }

            CheckFault(ref splitter, received, part.Count);
            return false;
        });
        return (packets, splitter.Offset, splitter.Fault?.ToString());
    }

    private static void CheckFault(ref PacketSplitter splitter, int received, int lastPart)
    {
        PacketFault? fault = splitter.Fault;
        Property.Holds(fault is not null, "what is malformed has a fault");
        Property.Holds(fault.HeaderOffset == splitter.Offset, "a fault names its header");
        Property.Holds(fault.Offset >= received - lastPart && fault.Offset < received, "a fault is known as soon as its byte is there");
        Property.Holds(splitter.Next([], out _) == PacketSplitter.Result.Malformed && splitter.Fault == fault, "a malformed stream stays malformed");
        Property.IsOneLine(fault.ToString());
    }
}
