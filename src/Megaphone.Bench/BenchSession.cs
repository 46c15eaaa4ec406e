using System.Runtime.InteropServices;
using Megaphone.Links;
using Megaphone.Xmpp;

namespace Megaphone.Bench;

/// <summary>All that an idle session costs: 80 bytes of native memory.</summary>
/// <remarks>Used by the thread that receives for the session, but for the fields of the run's driver.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal unsafe struct BenchSession
{
    /// <summary>The longest local part of an address that is kept.</summary>
    public const int MaxLocalBytes = 39;

    /// <summary>The server's stream.</summary>
    public StreamState Stream;

    /// <summary>When its login was due, in steps of 10 µs since the run began: enough for 11 hours.</summary>
    public uint BeganAt;

    /// <summary>The number of the last message that arrived, plus one; 0: none has.</summary>
    public int LastMessage;

    /// <summary>How many stanzas it has received since stream management was enabled (XEP-0198, section 4).</summary>
    public uint Handled;

    /// <summary>The phase that it is in.</summary>
    public SessionPhase Phase;

    /// <summary>Its life on a link, where one carries it. Guarded as <see cref="Paused"/> is.</summary>
    public SessionLife Life;

    /// <summary>Whether the other side has paused it. Guarded by whoever carries the session.</summary>
    public bool Paused;

    /// <summary>Whether its end was requested. For the run's driver.</summary>
    public bool EndRequested;

    private byte _localBytes;
    private fixed byte _local[MaxLocalBytes];

    /// <summary>The local part of the address that the server gave it, as it stands in XML.</summary>
    [System.Diagnostics.CodeAnalysis.UnscopedRef]
    public readonly ReadOnlySpan<byte> Local => MemoryMarshal.CreateReadOnlySpan(in _local[0], _localBytes);

    /// <summary>Whether the session was never opened, or is closed.</summary>
    public readonly bool IsUnknown => Phase is SessionPhase.Unopened or SessionPhase.Closed;

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
