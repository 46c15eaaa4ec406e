namespace Megaphone.Reactor;

/// <summary>Looks at the connections of one table while they are served: for operators, who may ask at any time.</summary>
internal sealed class ConnectionSurvey<TState>(ConnectionTable<TState> table)
    where TState : unmanaged
{
    /// <summary>Slots that one step looks at.</summary>
    private const int StepSlots = 1 << 14;

    /// <summary>The steps that there are now.</summary>
    public int Steps => (table.Used + StepSlots - 1) / StepSlots;

    /// <summary>Looks at connections that are established. Any thread.</summary>
    /// <remarks>Connections are passed over without their gates: only those that may be wanted are held up, for as long as the visit takes.</remarks>
    /// <param name="step">Which part of them.</param>
    /// <param name="wants">Says which.</param>
    /// <param name="visit">Gets these.</param>
    public void Look(int step, SurveyFilter<TState> wants, SurveyVisitor<TState> visit)
    {
        int first = step * StepSlots, end = Math.Min(first + StepSlots, table.Used);
        for (int index = first; index < end; index++)
        {
            ref ConnectionSlot slot = ref table.Slot(index);
            ConnectionId id = table.IdAt(index);
            int descriptor = slot.Descriptor;
            if (id.Generation == 0 || descriptor < 0 || slot.IsAny(ConnectionFlags.Closed | ConnectionFlags.Connecting)) continue;
            if (!wants(id, descriptor, table.State(index)) || !table.TryEnter(id)) continue;
            try
            {
                if (slot.Descriptor < 0 || !wants(id, slot.Descriptor, table.State(index))) continue;
                visit(table.Describe(id), table.State(index));
            }
            finally
            {
                slot.Exit();
            }
        }
    }
}
