using System.Runtime.InteropServices;
using Megaphone.Xmpp;

namespace Megaphone.Ecm;

/// <summary>What other threads than its reactor's need of a connection of a listener for the web: 40 bytes.</summary>
/// <remarks>
/// Plain bytes are written by one thread, and read by any. The stream of the server is for whoever holds the lock, who may take the
/// connection's gate; so nobody who holds the gate takes the lock, but for the thread that accepts the connection: by then nobody else knows
/// its id.
/// </remarks>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal struct WebSlot
{
    /// <summary>Whose it is: the generation of the connection's id; 0 when it is nobody's.</summary>
    public uint Generation;

    /// <summary>The owner number of the connection.</summary>
    public int Owner;

    /// <summary>How far it is. Changed by the reactor's thread, and with the lock held where output may be under way.</summary>
    public WebPhase Phase;

    /// <summary>The index of its listener.</summary>
    public byte Listener;

    /// <summary>Whether it has been sent <c>&lt;open/&gt;</c>. Changed with the lock held.</summary>
    public bool HasOpened;

    /// <summary>How often <see cref="WebTimer"/> has looked since it sent, or was sent, something.</summary>
    public byte SilentLooks;

    /// <summary>Whether too much waits to be sent to it.</summary>
    public bool IsSlow;

    /// <summary>Whether its client's message was incomplete when it was last looked at. Of the reactor's thread.</summary>
    public bool IsStale;

    private byte _lock;

    /// <summary>What the server sends it. It owns memory while a piece is incomplete.</summary>
    public StreamState Server;

    /// <summary>Takes the lock. It is held for one packet, and what follows from it.</summary>
    public void Enter()
    {
        SpinWait spin = default;
        while (Interlocked.CompareExchange(ref _lock, 1, 0) != 0) spin.SpinOnce(sleep1Threshold: -1);
    }

    /// <summary>Gives the lock back.</summary>
    public void Exit() => Volatile.Write(ref _lock, 0);
}
