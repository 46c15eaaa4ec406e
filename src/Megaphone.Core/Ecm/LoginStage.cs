namespace Megaphone.Ecm;

/// <summary>How far a client is that has not logged in, on a link where logins are paced.</summary>
internal enum LoginStage : byte
{
    /// <summary>It has sent nothing.</summary>
    Silent,

    /// <summary>It waits for its turn.</summary>
    Waiting,

    /// <summary>It has waited for too long, and will have no turn.</summary>
    TooLate,

    /// <summary>It has its turn.</summary>
    InTurn,

    /// <summary>It has had its turn, and goes on without.</summary>
    HadTurn,
}
