-- corpus: errors drop-column
aLtEr TaBlE "Users" dRoP cOlUmN "Name";
