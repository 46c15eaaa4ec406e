namespace Megaphone.Fuzz;

/// <summary>A stream of records, or of what a peer sends instead.</summary>
/// <param name="Stream">All of it.</param>
/// <param name="Lengths">Lengths of the parts in which it arrives.</param>
/// <param name="Intact">The records at its beginning that arrive as they were sealed.</param>
internal sealed record ArrivedRecords(byte[] Stream, int[] Lengths, SealedRecord[] Intact)
{
    /// <summary>Records without data in a row from which on some peers lose patience.</summary>
    private const int Patience = 4;

    /// <summary>Whether the peer may have changed its key without a key update, or not have changed it with one.</summary>
    public bool IsOutOfStep { get; init; }

    /// <summary>Whether the stream is nothing but records that every peer has to accept.</summary>
    public bool IsAllowed(bool isTls13) =>
        EndOfIntact == Stream.Length && !IsOutOfStep && !TriesPatience && Array.TrueForAll(Intact, record => record.IsAllowed(isTls13));

    /// <summary>Where the first record begins that is not intact.</summary>
    public int EndOfIntact => Intact.Length == 0 ? 0 : Intact[^1].End;

    /// <summary>Whether many records without data come in a row.</summary>
    public bool TriesPatience
    {
        get
        {
            int without = 0;
            foreach (SealedRecord record in Intact)
            {
                without = record.HasData ? 0 : without + 1;
                if (without > Patience) return true;
            }

            return false;
        }
    }

    /// <summary>All data up to the end.</summary>
    public byte[] Data => [.. Intact.TakeWhile(record => !record.IsEnd).Where(record => record.HasData).SelectMany(record => record.Content)];
}
