using System.Net;
using System.Runtime.CompilerServices;
using System.Text;
using Megaphone.Unix;

namespace Megaphone.Handover;

/// <summary>Reads what a <see cref="StateWriter"/> has written, in the same order. It believes nothing: what cannot be is a
/// <see cref="StateException"/>, and whatever is read is a copy.</summary>
/// <param name="start">The first byte, which stays the caller's.</param>
/// <param name="length">How many there are.</param>
internal sealed unsafe class StateReader(byte* start, long length)
{
    private readonly DescriptorSet _descriptors = new();
    private long _at;

    /// <summary>Whether everything was read.</summary>
    public bool IsAtEnd => _at == length;

    /// <summary>Reads plain data, any value of which is possible; the caller checks it.</summary>
    public T Read<T>()
        where T : unmanaged => Unsafe.ReadUnaligned<T>(Take(sizeof(T)));

    /// <summary>Reads a number that lies between two others.</summary>
    public int ReadNumber(int least, int most, string what)
    {
        int number = Read<int>();
        Check(number >= least && number <= most, what);
        return number;
    }

    /// <summary>Reads a flag.</summary>
    public bool ReadFlag()
    {
        byte flag = Read<byte>();
        Check(flag <= 1, "a flag");
        return flag == 1;
    }

    /// <summary>Reads bytes, which stay the caller's of this.</summary>
    /// <param name="most">How many there may be.</param>
    /// <param name="what">What they are, for the message.</param>
    public ReadOnlySpan<byte> ReadBytes(int most, string what)
    {
        int count = ReadNumber(0, most, what);
        return new ReadOnlySpan<byte>(Take(count), count);
    }

    /// <summary>Reads a text; null is none.</summary>
    public string? ReadText(string what, int most = 4096)
    {
        int count = ReadNumber(-1, most, what);
        return count < 0 ? null : Encoding.UTF8.GetString(new ReadOnlySpan<byte>(Take(count), count));
    }

    /// <summary>Reads an address.</summary>
    public IPEndPoint ReadEndPoint(string what)
    {
        bool isEndPoint = IPEndPoint.TryParse(ReadName(what), out IPEndPoint? endPoint);
        Check(isEndPoint, what);
        return endPoint!;
    }

    /// <summary>Reads an address, or the path of a Unix socket.</summary>
    public EndPoint ReadListening(string what)
    {
        EndPoint? listening = UnixEndPoint.ParseAny(ReadName(what));
        Check(listening is not null, what);
        return listening!;
    }

    /// <summary>Reads a text that has to be there.</summary>
    public string ReadName(string what) => ReadText(what) ?? throw Damaged(what);

    /// <summary>Reads a descriptor that was handed over to nobody else.</summary>
    public int ReadDescriptor(string what)
    {
        int descriptor = Read<int>();
        Claim(descriptor, what);
        return descriptor;
    }

    /// <summary>Checks a descriptor that is part of something else: nobody else may have it, and standard input, output and errors are
    /// never handed over.</summary>
    public void Claim(int descriptor, string what) => Check(descriptor > 2 && _descriptors.TryAdd(descriptor), what);

    /// <summary>Refuses the state unless something holds.</summary>
    public void Check(bool holds, string what)
    {
        if (!holds) throw Damaged(what);
    }

    private StateException Damaged(string what) => new($"the state is damaged before byte {_at}: {what}");

    private byte* Take(int count)
    {
        if (length - _at < count) throw Damaged("it ends too soon");
        byte* taken = start + _at;
        _at += count;
        return taken;
    }
}
