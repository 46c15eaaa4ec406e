using Megaphone.Handover;

namespace Megaphone.Links;

/// <summary>The packets and bytes that one link carried. One thread at a time counts each direction; any thread may read.</summary>
internal sealed class LinkCounters
{
    private long _packetsIn;
    private long _bytesIn;
    private long _packetsOut;
    private long _bytesOut;

    /// <summary>Packets accepted from the other side.</summary>
    public long PacketsIn => Volatile.Read(ref _packetsIn);

    /// <summary>Bytes received, headers included.</summary>
    public long BytesIn => Volatile.Read(ref _bytesIn);

    /// <summary>Packets handed to the kernel.</summary>
    public long PacketsOut => Volatile.Read(ref _packetsOut);

    /// <summary>Bytes handed to the kernel, headers included.</summary>
    public long BytesOut => Volatile.Read(ref _bytesOut);

    /// <summary>Writes them.</summary>
    public void Save(StateWriter writer)
    {
        writer.Write(_packetsIn);
        writer.Write(_bytesIn);
        writer.Write(_packetsOut);
        writer.Write(_bytesOut);
    }

    /// <summary>Reads what <see cref="Save"/> has written.</summary>
    public static LinkCounters Restore(StateReader reader) => new()
    {
        _packetsIn = reader.Read<long>(),
        _bytesIn = reader.Read<long>(),
        _packetsOut = reader.Read<long>(),
        _bytesOut = reader.Read<long>(),
    };

    /// <summary>Adds what another connection has counted. While nobody else counts.</summary>
    public void Add(LinkCounters other)
    {
        AddIn((int)other.PacketsIn, (int)other.BytesIn);
        AddOut((int)other.PacketsOut, (int)other.BytesOut);
    }

    /// <summary>Counts what was received. Packets and bytes may be counted by two threads: a number that is 0 is not touched.</summary>
    public void AddIn(int packets, int bytes)
    {
        if (packets != 0) Volatile.Write(ref _packetsIn, _packetsIn + packets);
        if (bytes != 0) Volatile.Write(ref _bytesIn, _bytesIn + bytes);
    }

    public void AddOut(int packets, int bytes)
    {
        Volatile.Write(ref _packetsOut, _packetsOut + packets);
        Volatile.Write(ref _bytesOut, _bytesOut + bytes);
    }
}
