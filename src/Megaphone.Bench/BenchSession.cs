using System.Runtime.InteropServices;
using Megaphone.Links;
using Megaphone.Xmpp;

namespace Megaphone.Bench;

/// <summary>All that one played session costs while nothing happens: 80 bytes of native memory.</summary>
/// <remarks>Used by the thread that receives for the session, but for what the driver's own fields.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal unsafe struct BenchSession
{
    /// <summary>The longest local part of an address that is kept.</summary>
    public const int MaxLocalBytes = 43;

    /// <summary>What the server says.</summary>
    public StreamState Stream;

    /// <summary>When its login was to begin, in steps of 10 µs since the play began: enough for 11 hours.</summary>
    public uint BeganAt;

    /// <summary>The number of the last message that arrived, plus one; 0: none has.</summary>
    public int LastMessage;

    /// <summary>How far it has come.</summary>
    public SessionPhase Phase;

    /// <summary>Where it is carried by a link: how far it has come there. Guarded as <see cref="Paused"/> is.</summary>
    public SessionLife Life;

    /// <summary>The other side does not want its data now. Guarded by whoever carries the session.</summary>
    public bool Paused;

    /// <summary>The driver's: the session has been asked to end.</summary>
    public bool EndSaid;

    private byte _localBytes;
    private fixed byte _local[MaxLocalBytes];

    /// <summary>The local part of the address that the server gave it, as it stands in XML.</summary>
    [System.Diagnostics.CodeAnalysis.UnscopedRef]
    public readonly ReadOnlySpan<byte> Local => MemoryMarshal.CreateReadOnlySpan(in _local[0], _localBytes);

    /// <summary>Whether nobody knows the session: it was never opened, or is over.</summary>
    public readonly bool IsUnknown => Phase is SessionPhase.Unopened or SessionPhase.Over;

    /// <summary>Whether its login is under way.</summary>
    public readonly bool IsLoggingIn => Phase is > SessionPhase.Unopened and < SessionPhase.Online;

    /// <summary>Keeps its address.</summary>
    /// <returns>False when that is longer than <see cref="MaxLocalBytes"/>.</returns>
    public bool TrySetLocal(ReadOnlySpan<byte> local)
    {
        if (local.Length > MaxLocalBytes) return false;
        _localBytes = (byte)local.Length;
        local.CopyTo(MemoryMarshal.CreateSpan(ref _local[0], MaxLocalBytes));
        return true;
    }
}
