using System.Runtime.InteropServices;

namespace Megaphone.Ecm;

/// <summary>A client that has not logged in, on a link where logins are paced: 52 bytes of native memory, and its PROXY header behind them.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal unsafe struct PacedClient
{
    /// <summary>The longest PROXY header: with it a client takes 256 bytes.</summary>
    public const int MaxHeaderBytes = 204;

    /// <summary>Its connection's id.</summary>
    public ulong Id;

    /// <summary>To whom it is attributed: a <see cref="ClientAddress"/>.</summary>
    public ulong Address;

    /// <summary>While it waits or has its turn: those of its address.</summary>
    public AddressQueue* Queue;

    /// <summary>While it waits: who comes after it, of its address.</summary>
    public PacedClient* Next;

    /// <summary>While it waits: who comes before it, of its address.</summary>
    public PacedClient* Previous;

    /// <summary>Since when it waits, or has its turn: the lower half of what <see cref="Environment.TickCount64"/> was.</summary>
    public uint Since;

    /// <summary>The index of its link.</summary>
    public ushort Link;

    /// <summary>The index of its server.</summary>
    public ushort Server;

    /// <summary>Bytes of the header; 0: there is none, or it has been sent.</summary>
    public byte HeaderLength;

    /// <summary>How far it is.</summary>
    public LoginStage Stage;

    /// <summary>Whether it is known to its connection that its turn has begun.</summary>
    public bool HasBegun;

    /// <summary>How long the PROXY header of a client may be, by whether it may have to wait.</summary>
    public static int MostHeaderBytes(bool mayWait) => mayWait ? MaxHeaderBytes : ProxyHeader.MaxBytes;

    /// <summary>Makes one in memory of its own.</summary>
    public static PacedClient* Make(ReadOnlySpan<byte> header)
    {
        PacedClient* client = (PacedClient*)NativeMemory.Alloc((nuint)(sizeof(PacedClient) + header.Length));
        *client = new PacedClient { HeaderLength = (byte)header.Length };
        header.CopyTo(Header(client));
        return client;
    }

    /// <summary>The PROXY header, which is not sent before its turn.</summary>
    public static Span<byte> Header(PacedClient* client) => new(client + 1, client->HeaderLength);
}
